"""Pipelines of diffusers as models: loaded whole, tried once, their prompts counted."""
