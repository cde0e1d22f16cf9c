"""What was found out about a model on a machine, by trying it, and kept for whoever asks."""
