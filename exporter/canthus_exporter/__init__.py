"""From a checkpoint to a bundle: fold, trace, verify, pack."""
