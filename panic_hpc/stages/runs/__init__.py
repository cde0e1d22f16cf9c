"""The runs stage: prompts and seeds followed through their network."""
