"""How trajectories move: displacement, memory, divergence, drift, recurrence."""
