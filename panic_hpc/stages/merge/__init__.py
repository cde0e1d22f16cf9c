"""The merge stage: shards become the dataset."""
