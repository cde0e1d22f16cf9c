"""Files on a shared file system: written whole, made visible at once, copied by ranges."""
