"""What works on shards, in a local process or an array task."""
