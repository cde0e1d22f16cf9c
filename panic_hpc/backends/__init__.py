"""Where work is sent: this machine or Slurm."""
