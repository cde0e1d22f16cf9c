"""Models behind a server: calls with retries, what is asked, and what of an answer is taken."""
