"""The state of an experiment on disk: what is published, leased, failed, submitted."""
