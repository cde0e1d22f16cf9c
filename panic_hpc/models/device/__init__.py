"""What is between a model and its GPU: errors, memory, energy."""
