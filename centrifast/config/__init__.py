"""Options: declared in the schema, read by the loader, checked by the rules, printed by the reference."""
