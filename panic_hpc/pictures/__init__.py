"""Pictures as bytes: those that are stored, and those that people give."""
