"""The diagrams stage: trajectories become persistence diagrams."""
