"""The built-in micro-world: its scenes, its captions, and how its models are trained and judged."""
