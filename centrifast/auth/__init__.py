"""From a token to claims; what the claims permit is decided elsewhere."""
