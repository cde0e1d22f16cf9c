"""Estimators on plain arrays; nothing here knows of datasets."""
