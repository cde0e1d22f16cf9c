"""Has it done this before: neighbours, alignments, attractors and motifs of trajectories."""
