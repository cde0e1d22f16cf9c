"""The merged dataset as its readers see it."""
