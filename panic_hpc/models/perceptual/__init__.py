"""Likeness of pictures as a network that was trained to see tells it."""
