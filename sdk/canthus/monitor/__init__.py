"""A web page over a live stream: what the camera sees, what is read from it, and how that is going."""
