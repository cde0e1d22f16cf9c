"""The report's first page: answers, figures, tables, notices, provenance, work."""
