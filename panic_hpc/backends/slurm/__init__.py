"""Slurm, through submitit and its own commands."""
