"""The server API: how application backends publish and manage connections."""
