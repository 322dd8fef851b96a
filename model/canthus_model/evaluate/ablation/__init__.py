"""Does a network use all of itself? What it is shown, and what it is made of, taken away piece by piece."""
