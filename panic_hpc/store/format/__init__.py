"""What one file of ours holds, and how it is laid out, written, read and hashed."""
