"""The embeddings stage: outputs of runs become vectors."""
