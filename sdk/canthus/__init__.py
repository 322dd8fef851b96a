"""canthus reads a wearer's expression from one eye, on the device that they wear."""
