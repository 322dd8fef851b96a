"""Training of MCO-E Net on SEE, or on data sets of its layout, with Lightning."""
