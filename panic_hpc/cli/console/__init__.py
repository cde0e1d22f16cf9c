"""What verbs share: output, progress bars, options."""
