"""Verbs that take an experiment from its file to its dataset, and loops of such."""
