"""Questions for judges, a file a rubric, and what their answers are taken for."""
