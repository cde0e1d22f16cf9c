"""Experiment files: read, checked as a whole, resolved against the models known."""
