"""The activations stage: what goes on in a model's layers while it makes what was stored."""
