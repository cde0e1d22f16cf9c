"""Models that draw a picture token by token, or scale by scale."""
