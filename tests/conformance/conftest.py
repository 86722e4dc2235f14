"""The servers of ``tests/client``: one for each test, which must be empty again in the end."""

from tests.client.conftest import serve, server

__all__ = ["serve", "server"]
