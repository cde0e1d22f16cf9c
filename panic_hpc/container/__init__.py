"""The container image: what it is, and the words that start it."""
