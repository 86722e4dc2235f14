"""Commands of the client protocol, one file each: a request in, a result out, or a ClientError or Disconnect."""

from centrifast.client.commands.table import after_reply, handle

__all__ = ["after_reply", "handle"]
