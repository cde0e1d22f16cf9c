"""Joining the shards of one experiment, or of many, into one dataset; mpi4py only here."""
