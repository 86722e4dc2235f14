"""Commands and publications taken from queues (server specification 8)."""
