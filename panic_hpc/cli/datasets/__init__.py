"""Verbs that read, ask, draw and hand on datasets."""
