"""Databases of upstream's, read into a dataset of our own."""
