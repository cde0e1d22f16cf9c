"""Verbs about the directories of experiments."""
