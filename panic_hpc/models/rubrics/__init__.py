"""Questions for the judge, a file a rubric; `families/judge.py` reads them."""
