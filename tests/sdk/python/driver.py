"""Drives unmodified centrifuge-python clients, as javascript/driver.mjs does with centrifuge-js."""

import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from centrifuge import Client, DeltaType, ReplyError, StreamPosition
from centrifuge.filter import FilterNode
from websockets.frames import Frame, Opcode

DATA_FRAMES = (Opcode.TEXT, Opcode.BINARY)
PLAIN_FIELDS = (
    "code",
    "reason",
    "channel",
    "client",
    "recoverable",
    "positioned",
    "was_recovering",
    "recovered",
)
RESUBSCRIBE_DELAY = 0.05
MAX_LINE = 1 << 20  # bytes of a command

Emit = Callable[..., None]


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

    def __init__(self, report: Emit, channel: str = "") -> None:
        self._report = report
        self._channel = channel

    def __getattr__(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def report(context: Any) -> None:
            fields: dict[str, Any] = {"channel": self._channel} if self._channel else {}
            side = "server_" if type(context).__name__.startswith("Server") else ""
            self._report(side + name.removeprefix("on_"), **fields | describe(context))

        return report


def describe(context: Any) -> dict[str, Any]:
    fields = {field: getattr(context, field) for field in PLAIN_FIELDS if hasattr(context, field)}
    if hasattr(context, "stream_position"):
        position = context.stream_position
        fields["position"] = position and {"offset": position.offset, "epoch": position.epoch}
        fields["data"] = unpack(context.data)
    if hasattr(context, "pub"):
        pub = context.pub
        fields |= {"data": unpack(pub.data), "offset": pub.offset, "tags": pub.tags}
        fields["info"] = pub.info and describe_info(pub.info)
    if hasattr(context, "info"):
        fields["info"] = describe_info(context.info)
    if isinstance(getattr(context, "error", None), ReplyError):
        fields["code"] = context.error.code
    return fields


def describe_info(info: Any) -> dict[str, Any]:
    return {
        "user": info.user,
        "client": info.client,
        "conn_info": unpack(info.conn_info),
        "chan_info": unpack(info.chan_info),
    }


def unpack(data: Any) -> Any:
    """Payloads are bytes for a Protobuf client, values for a JSON one."""
    return json.loads(data) if isinstance(data, bytes) else data


class Driver:
    """One client and the commands it takes."""

    def __init__(self, encoding: str, url: str, token: str, get_token: bool) -> None:
        self._protobuf = encoding == "protobuf"
        self._requests: dict[str, deque[asyncio.Future[Any]]] = {"get_token": deque(), "get_state": deque()}
        self._is_open = True
        self._client = Client(
            url,
            events=Events(self._emit),
            token=token,
            get_token=self._asking("get_token") if get_token else None,
            use_protobuf=self._protobuf,
            min_reconnect_delay=0.05,
            max_reconnect_delay=0.2,
            proxy=None,
        )

    def _emit(self, event: str, **fields: Any) -> None:
        if self._is_open:
            emit(event, **fields)

    def _asking(self, what: str) -> Callable[..., Awaitable[Any]]:
        """Ask the test, for a channel if the SDK names one: an event out, a command back."""

        async def ask(*channel: str) -> Any:
            request: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._requests[what].append(request)
            self._emit(what, **dict(zip(("channel",), channel, strict=False)))
            return await request

        return ask

    def _pack(self, value: Any) -> Any:
        return json.dumps(value).encode() if self._protobuf else value

    async def _answer(self, call: Awaitable[Any], describe: Callable[[Any], Any]) -> None:
        try:
            result = await call
        except ReplyError as error:
            self._emit("failed", code=error.code)
        else:
            self._emit("result", data=describe(result))

    async def connect(self) -> None:
        await self._client.connect()

    async def close(self) -> None:
        await self._client.disconnect()
        for request in (*self._requests["get_token"], *self._requests["get_state"]):
            request.cancel()
        self._emit("closed")
        self._is_open = False

    async def subscribe(
        self,
        channel: str,
        token: str = "",
        ask_token: bool = False,
        ask_state: bool = False,
        delta: str = "",
        tags_filter: Any = None,
        **wishes: bool,
    ) -> None:
        subscription = self._client.get_subscription(channel)
        if subscription is None:
            subscription = self._client.new_subscription(
                channel,
                events=Events(self._emit, channel),
                token=token,
                get_token=self._asking("get_token") if token or ask_token else None,
                get_state=self._asking("get_state") if ask_state else None,
                delta=DeltaType(delta) if delta else None,
                tags_filter=FilterNode(tags_filter) if tags_filter else None,
                min_resubscribe_delay=RESUBSCRIBE_DELAY,
                **wishes,
            )
        await subscription.subscribe()

    async def unsubscribe(self, channel: str) -> None:
        await self._client.get_subscription(channel).unsubscribe()

    async def publish(self, channel: str, data: Any) -> None:
        await self._answer(self._client.publish(channel, self._pack(data)), lambda _: None)

    async def rpc(self, method: str, data: Any) -> None:
        await self._answer(self._client.rpc(method, self._pack(data)), lambda result: unpack(result.data))

    async def presence(self, channel: str) -> None:
        await self._answer(
            self._client.presence(channel),
            lambda result: {client: describe_info(info) for client, info in result.clients.items()},
        )

    async def presence_stats(self, channel: str) -> None:
        await self._answer(
            self._client.presence_stats(channel),
            lambda result: {"num_clients": result.num_clients, "num_users": result.num_users},
        )

    async def history(self, channel: str, limit: int = 0, since: Any = None, reverse: bool = False) -> None:
        position = since and StreamPosition(**since)
        await self._answer(
            self._client.history(channel, limit=limit, since=position, reverse=reverse),
            lambda result: {
                "publications": [
                    {"data": unpack(pub.data), "offset": pub.offset} for pub in result.publications
                ],
                "offset": result.offset,
                "epoch": result.epoch,
            },
        )

    async def token(self, token: str) -> None:
        self._requests["get_token"].popleft().set_result(token)

    async def state(self, offset: int, epoch: str) -> None:
        self._requests["get_state"].popleft().set_result(StreamPosition(offset, epoch))


async def drive(encoding: str) -> None:
    """Serve commands until the input ends."""
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    tasks: set[asyncio.Task[None]] = set()

    def done(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        task.result()  # a bug of the driver becomes an unhandled exception, and so a line on standard error

    driver: Any = None
    async for line in reader:
        parameters = json.loads(line)
        command = parameters.pop("command")
        if command == "open":
            driver = Driver(encoding, **parameters)
            continue
        task = asyncio.create_task(getattr(driver, command)(**parameters))
        tasks.add(task)
        task.add_done_callback(done)


if __name__ == "__main__":
    log = logging.getLogger("websockets.client")
    log.setLevel(logging.DEBUG)
    log.addHandler(FrameObserver())
    log.propagate = False
    asyncio.run(drive(sys.argv[1]))
