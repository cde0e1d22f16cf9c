"""Model families, one a file: each ends in `PLUGINS`."""
