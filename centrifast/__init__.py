"""centrifast: a real-time messaging server that speaks Centrifugo's protocol, API and configuration."""

__version__ = "0.1.0"
