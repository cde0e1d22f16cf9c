"""Experiments that count, and no scheduler's variables around."""

from counting import counted, no_scheduler_around

__all__ = ["counted", "no_scheduler_around"]
