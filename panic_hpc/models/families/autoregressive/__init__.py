"""Picture models that draw token by token or scale by scale, a family a file."""
