"""A small shop: the integration of Paidup to copy."""
