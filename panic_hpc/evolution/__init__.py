"""Evolution: prompts and settings as genes, bred round after round by rank, votes or a measure."""
