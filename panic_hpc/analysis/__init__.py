"""One question a file, answered from a dataset."""
