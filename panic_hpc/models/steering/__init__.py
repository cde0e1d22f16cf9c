"""Steering: a model pushed from one class of prompts towards another, inside its own layers."""
