"""Figures of tables, one function a form; the same table gives the same bytes."""
