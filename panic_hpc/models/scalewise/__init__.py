"""A next-scale picture transformer: bits of a picture, scale by scale, from a text."""
