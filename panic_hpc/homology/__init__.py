"""Persistence diagrams of point clouds: Python API and native core."""
