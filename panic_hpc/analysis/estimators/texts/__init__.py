"""What outputs say by themselves: words, lengths, what is left of the prompt."""
