"""Strict tables, and what is wrong with one in its writer's words."""
