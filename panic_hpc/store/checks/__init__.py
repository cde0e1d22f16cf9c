"""What `verify` checks of one file, rule by rule."""
