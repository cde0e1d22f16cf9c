"""The analyses, one a file: from trajectories to tables, sentences and tests."""
