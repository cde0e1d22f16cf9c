"""From an experiment to its runs and shards; pure, but for the manifest on disk."""
