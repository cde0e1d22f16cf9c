"""How long things last, where some have not ended when watching stops."""
