"""One stage a file: for one shard, read published inputs, publish one file."""
