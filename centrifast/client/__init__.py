"""One client: its session, what it may do, and the commands it can send."""
