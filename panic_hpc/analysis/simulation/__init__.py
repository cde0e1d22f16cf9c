"""Trajectories whose truth is known, as arrays and as datasets."""
