"""Ways in and out: the front door of the port, and each transport."""
