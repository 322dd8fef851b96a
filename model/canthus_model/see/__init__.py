"""The SEE data set (arXiv 2310.04043) on disk: what is in it, and the clips that networks are given."""
