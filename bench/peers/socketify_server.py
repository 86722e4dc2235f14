"""socketify (µWebSockets): clients get the body of each POST. Run with the Python that has it: PORT."""

import resource
import sys
from typing import Any

from socketify import App, OpCode

TOPIC = "bench"


def join(ws: Any) -> None:
    """Every client subscribes to the one topic."""
    ws.subscribe(TOPIC)


async def publish(response: Any, request: Any) -> None:
    """Send the body to all, then answer."""
    body = await response.get_text()
    app.publish(TOPIC, body, OpCode.TEXT)
    response.end("{}")


def answer(response: Any, request: Any) -> None:
    """Whether it is there."""
    response.end("{}")


hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
app = App()
app.ws("/ws", {"open": join, "idle_timeout": 0, "compression": 0})
app.post("/publish", publish)
app.get("/health", answer)
app.listen({"port": int(sys.argv[1]), "host": "127.0.0.1"}, lambda config: None)
app.run()
