"""What people say of outputs: which of two is better, what they like, what they say in words."""
