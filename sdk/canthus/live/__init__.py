"""A stream over a live camera, on a thread of its own."""
