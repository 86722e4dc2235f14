"""An identity provider: a real HTTP server that publishes key sets, and can fail in every way."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager


class KeyServer:
    """Answers each GET with what is set; the paths asked for are kept."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.failures = 0
        """How many answers from now on are a 500, whatever ``status`` says."""
        self.body = b'{"keys":[]}'
        self.headers: list[str] = []
        self.paths: list[str] = []
        self.heads: list[str] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def publish(self, keys: Sequence[object]) -> None:
        """Make these the key set."""
        self.status = 200
        self.body = json.dumps({"keys": keys}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                self.paths.append(head.split(" ")[1])
                self.asked.set()
                await self.may_answer.wait()
                status = 500 if self.failures else self.status
                self.failures = max(0, self.failures - 1)
                lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(self.body)}", *self.headers]
                writer.write("\r\n".join([*lines, "", ""]).encode() + self.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    """Listen on a free port, until the block ends."""
    provider = KeyServer()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        provider.may_answer.set()
        server.close()
        await server.wait_closed()
