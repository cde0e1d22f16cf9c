"""Figures and pages made from tables and arrays."""
