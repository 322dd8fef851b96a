"""A moving eye as a DAVIS346 in front of it would record it: events and frames of one sensor."""
