"""What is wrong with an experiment or a site."""
