"""Verbs for work that is under way."""
