"""The report's second page: a map of all states, and runs side by side."""
