"""Drives one unmodified centrifuge-python client, as javascript/driver.mjs does with centrifuge-js."""

import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from centrifuge import Client, ReplyError
from websockets.frames import Frame, Opcode

DATA_FRAMES = (Opcode.TEXT, Opcode.BINARY)


def emit(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


class FrameObserver(logging.Handler):
    """Reports the frames that the ``websockets`` library logs to debug, as ``< frame`` and ``> frame``."""

    def emit(self, record: logging.LogRecord) -> None:
        frame = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(frame, Frame) and frame.opcode in DATA_FRAMES:
            direction = "in" if record.msg.startswith("<") else "out"
            emit("frame", direction=direction, hex=bytes(frame.data).hex())


class Events:
    """Stands for the SDK's handler classes: every callback becomes an event."""

    def __init__(self, channel: str = "") -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def report(context: Any) -> None:
            fields: dict[str, Any] = {"channel": self._channel} if self._channel else {}
            for field in ("code", "reason", "channel", "client"):
                if hasattr(context, field):
                    fields[field] = getattr(context, field)
            if hasattr(context, "pub"):
                fields |= publication(context.pub)
            if isinstance(getattr(context, "error", None), ReplyError):
                fields["code"] = context.error.code
            side = "server_" if type(context).__name__.startswith("Server") else ""
            emit(side + name.removeprefix("on_"), **fields)

        return report


def publication(pub: Any) -> dict[str, Any]:
    info = pub.info and {
        "user": pub.info.user,
        "client": pub.info.client,
        "conn_info": unpack(pub.info.conn_info),
        "chan_info": unpack(pub.info.chan_info),
    }
    return {"data": unpack(pub.data), "info": info}


def unpack(data: Any) -> Any:
    """Payloads are bytes for a Protobuf client, values for a JSON one."""
    return json.loads(data) if isinstance(data, bytes) else data


class Driver:
    """The client and the commands it takes."""

    def __init__(self, url: str, encoding: str, token: str, get_token: bool) -> None:
        self._protobuf = encoding == "protobuf"
        self._token_requests: deque[asyncio.Future[str]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._client = Client(
            url,
            events=Events(),
            token=token,
            get_token=self._get_token if get_token else None,
            use_protobuf=self._protobuf,
            min_reconnect_delay=0.05,
            max_reconnect_delay=0.2,
            proxy=None,
        )

    async def run(self) -> None:
        """Serve commands until the input ends, then disconnect."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        async for line in reader:
            parameters = json.loads(line)
            task = asyncio.create_task(getattr(self, parameters.pop("command"))(**parameters))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        await self._client.disconnect()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        task.result()  # a bug of the driver becomes an unhandled exception, and so a line on standard error

    async def _get_token(self, *channel: str) -> str:
        """Ask the test for a token, of a subscription if a channel is given: an event out, a command back."""
        request: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._token_requests.append(request)
        emit("get_token", **dict(zip(("channel",), channel, strict=False)))
        return await request

    def _pack(self, value: Any) -> Any:
        return json.dumps(value).encode() if self._protobuf else value

    async def _answer(self, call: Awaitable[Any]) -> None:
        try:
            result = await call
        except ReplyError as error:
            emit("failed", code=error.code)
        else:
            emit("result", data=unpack(getattr(result, "data", None)))

    async def connect(self) -> None:
        await self._client.connect()

    async def subscribe(self, channel: str, token: str = "") -> None:
        tokens = {"token": token, "get_token": self._get_token} if token else {}
        await self._client.new_subscription(channel, events=Events(channel), **tokens).subscribe()

    async def unsubscribe(self, channel: str) -> None:
        await self._client.get_subscription(channel).unsubscribe()

    async def publish(self, channel: str, data: Any) -> None:
        await self._answer(self._client.publish(channel, self._pack(data)))

    async def rpc(self, method: str, data: Any) -> None:
        await self._answer(self._client.rpc(method, self._pack(data)))

    async def token(self, token: str) -> None:
        self._token_requests.popleft().set_result(token)


if __name__ == "__main__":
    log = logging.getLogger("websockets.client")
    log.setLevel(logging.DEBUG)
    log.addHandler(FrameObserver())
    log.propagate = False
    asyncio.run(Driver(**json.loads(sys.argv[1])).run())
