"""Models known by name: rows of data, and what reads them."""
