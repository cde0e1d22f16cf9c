"""The shape of trajectories: diagrams against nulls, intrinsic dimension, clusters of states."""
