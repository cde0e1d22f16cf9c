"""What can be told beforehand of a run, judged on prompts that nothing was learned from."""
