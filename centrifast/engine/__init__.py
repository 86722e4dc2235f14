"""Engines: where publications, history and presence live."""
