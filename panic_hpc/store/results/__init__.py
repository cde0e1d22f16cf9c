"""What each stage's files hold: one module a kind of result, found like all plugins."""
