"""PANIC-TDA experiments at the scale of a cluster."""
