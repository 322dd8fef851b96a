"""How often a model is right on SEE's testing subset, as the papers count it."""
