"""Models of a hub: locked, fetched, and found in its cache."""
