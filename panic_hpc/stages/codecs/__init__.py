"""One modality a file: how outputs become the bytes that are stored."""
