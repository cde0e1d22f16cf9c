"""Cluster profiles: what a site offers and how a stage's resources are asked for."""
