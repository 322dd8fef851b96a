"""MCO-E Net in PyTorch, the data that it learns from, and the recordings that it is shown."""
