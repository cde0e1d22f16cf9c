"""Nomic's encoder of texts with a mixture of experts, which transformers has no class for."""
