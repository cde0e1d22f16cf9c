"""Model families, one a file or two of a kind: each file ends in `PLUGINS`."""
