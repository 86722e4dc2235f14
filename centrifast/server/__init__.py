"""Listening sockets and what is served on them besides the transports."""
