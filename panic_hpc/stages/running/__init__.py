"""What the runs stage is made of: batches in lockstep, checkpoints, loops."""
