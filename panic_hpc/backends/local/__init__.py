"""This machine, through submitit's local executor."""
