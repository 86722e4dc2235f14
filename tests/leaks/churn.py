"""Open, use and drop connections in every way, again and again, and print what is left after each round as JSON.

In full, about a minute, with a debug build of the extensions so that live objects are counted::

    python -m tests.leaks.churn --connections 10000 --rounds 10 --extensions build/debug/lib

Server and clients share this process. The garbage collector is off: what ends must go by itself, since a server with
100,000 connections can not wait for a collection. What a collection would have found is counted at the end.
"""

import argparse
import gc
import itertools
import json
import os
import resource
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.in_process_server import InProcessServer
    from tests.raw_websocket import RawWebSocket

FLAGS: dict[str, str | bool | int] = {
    "websocket.compression": True,
    "channel.without_namespace.history_size": 10,
    "channel.without_namespace.history_ttl": "300s",
    "channel.without_namespace.force_recovery": True,
    "channel.without_namespace.presence": True,
    "channel.without_namespace.allow_tags_filter": True,
    "channel.without_namespace.allowed_delta_types": "fossil",
    "channel.without_namespace.delta_publish": True,
    "channel.without_namespace.join_leave": True,
    "channel.without_namespace.allow_presence_for_subscriber": True,
    "channel.without_namespace.allow_presence_for_anonymous": True,
    "channel.without_namespace.allow_publish_for_client": True,
}
WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"recover": True},
    {"recover": True, "delta": "fossil"},
    {"recover": True, "tf": {"key": "k", "cmp": "nex"}},
)
"""How clients subscribe, in turn: so members move between groups, and results carry what was recovered."""

OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate"}
BOMB_DATA = zlib.compress(
    bytes(2 << 20), wbits=-zlib.MAX_WBITS
)  # ends with a block that says it is the last one
BOMB = b"\xc2\xfe" + len(BOMB_DATA).to_bytes(2, "big") + bytes(4) + BOMB_DATA  # deflated, masked with zeros

WAIT = 20.0
SPARE_DESCRIPTORS = 100


def use_extensions(folder: Path) -> None:
    """Let the extensions in *folder*, laid out by ``build_ext --build-lib``, win over those in the source tree."""
    import centrifast
    import centrifast.transports

    centrifast.__path__.insert(0, str(folder / "centrifast"))
    centrifast.transports.__path__.insert(0, str(folder / "centrifast" / "transports"))


def live_objects() -> dict[str, int] | None:
    """Objects of the extensions that are alive, or None with a release build."""
    from centrifast import _channel, _core
    from centrifast.transports import _connection

    counts = [module.live_objects() for module in (_core, _channel, _connection)]
    return {name: count for part in counts if part for name, count in part.items()} or None


def kept(server: "InProcessServer") -> dict[str, int]:
    """What stands for a client or a subscription outside the extensions."""
    node = server.node
    subscriptions = node.subscriptions
    return server.call(
        lambda: {
            "clients": len(node.hub.clients) + len(node.hub.connecting) + node.hub.user_count,
            "subscriptions": node.hub.subscription_count + len(node.hub.channels),
            "presence": len(node._presence._channels),  # type: ignore[attr-defined]
            "wanted channels": len(node._broker._subscribed),  # type: ignore[attr-defined]
            "held channels": len(subscriptions._interest._holds) + subscriptions._catch_ups.count,
            "requests": len(node._background._tasks) + len(subscriptions._interest._changes),
        }
    )


def resident() -> int:
    """Memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


# --------------------------------------------------------------- ways to end


def close_orderly(client: "RawWebSocket") -> None:
    """The closing handshake."""
    client.send_bytes(b"\x88\x82\0\0\0\0\x03\xe8")
    assert client.receive_close().close_code == 1000
    assert client.receive() is None


def reset(client: "RawWebSocket") -> None:
    """A reset."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(client: "RawWebSocket") -> None:
    """The end of the stream and no more."""


def reset_in_a_frame(client: "RawWebSocket") -> None:
    """A frame that never ends."""
    client.send_bytes(b"\x82\xff" + (60_000).to_bytes(8, "big") + b"mask" + bytes(20_000))
    reset(client)


def hang_up_in_a_message(client: "RawWebSocket") -> None:
    """A fragment that stays alone."""
    client.send_bytes(b"\x02\xfe\x10\x00\0\0\0\0" + bytes(4096))


def refused_by_the_parser(client: "RawWebSocket") -> None:
    """An opcode that is none."""
    client.send_bytes(b"\x83\x80\0\0\0\0")
    assert client.receive_close().close_code == 1002


def break_a_rule(client: "RawWebSocket") -> None:
    """A reserved bit."""
    client.send_bytes(b"\xa1\x80\0\0\0\0")
    assert client.receive_close().close_code == 1002


def send_a_bomb(client: "RawWebSocket") -> None:
    """A message that inflates to more than is allowed, also from who has not agreed on that."""
    client.send_bytes(BOMB)
    assert client.receive_close().close_code in (1002, 1009)


def go_in_the_middle(client: "RawWebSocket") -> None:
    """Commands whose answers nobody waits for: the client goes while it comes back to its channels."""
    commands: list[dict[str, Any]] = []
    for wishes in WISHES * 5:
        commands += [
            {"id": 1, "subscribe": {"channel": "middle", "join_leave": True, **wishes}},
            {"id": 2, "publish": {"channel": "middle", "data": {"number": len(commands)}}},
            {"id": 3, "unsubscribe": {"channel": "middle"}},
        ]
    client.send_text("\n".join(map(json.dumps, commands)))
    reset(client)


def send_nonsense(client: "RawWebSocket") -> None:
    """No command: the server disconnects."""
    client.send_text("nonsense")
    assert client.receive_close().close_code == 3501


ENDS: tuple[Callable[["RawWebSocket"], None], ...] = (
    close_orderly,
    reset,
    hang_up,
    reset_in_a_frame,
    hang_up_in_a_message,
    refused_by_the_parser,
    break_a_rule,
    send_nonsense,
    send_a_bomb,
    go_in_the_middle,
)


# -------------------------------------------------------------------- rounds


def run_round(server: "InProcessServer", connections: int, together: int) -> None:
    """Open *connections*, *together* at once, each subscribed to three channels, and end each in some way."""
    ends = itertools.cycle(ENDS)
    for start in range(0, connections, together):
        clients = [open_client(server, number) for number in range(start, min(start + together, connections))]
        for text in (b"hello", b"hello again"):
            for channel in ("everyone", "given"):
                server.publish(channel, b'{"text":"%s"}' % text)
        for client in clients:
            next(ends)(client)
            client.socket.close()
    settle(server)


def open_client(server: "InProcessServer", number: int) -> "RawWebSocket":
    client = server.client(headers=OFFER if number % 3 == 0 else None)
    client.connect(subs={"given": {"recover": True, "delta": "fossil"}})
    client.subscribe("everyone", **WISHES[number % len(WISHES)])
    client.subscribe(f"some-{number % 100}", join_leave=True)
    return client


def settle(server: "InProcessServer") -> None:
    """Wait until the server has noticed every end; what is left after WAIT seconds is what leaks."""
    server.wait_until(lambda: server.open_connections == 0)
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        live = live_objects()
        if live is None or not any(live.values()):
            return
        server.call(lambda: None)  # the parser keeps what it refused for ten milliseconds


def main() -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description="Open and drop connections and print what is left.")
    parser.add_argument("--connections", type=int, default=10_000, help="in each round (default 10000)")
    parser.add_argument("--rounds", type=int, default=10, help="default 10")
    parser.add_argument("--extensions", type=Path, default=None, help="folder of a debug build")
    options = parser.parse_args()
    if options.extensions is not None:
        use_extensions(options.extensions)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    together = min(options.connections, (hard - SPARE_DESCRIPTORS) // 2)
    from tests.in_process_server import InProcessServer

    gc.collect()
    gc.disable()
    rounds = []
    with InProcessServer(FLAGS) as server:
        for _ in range(options.rounds):
            started = time.monotonic()
            run_round(server, options.connections, together)
            rounds.append(
                {
                    "live": live_objects(),
                    "kept": kept(server),
                    "resident": resident(),
                    "descriptors": len(os.listdir("/proc/self/fd")),
                    "seconds": round(time.monotonic() - started, 2),
                }
            )
    json.dump({"together": together, "rounds": rounds, "unreachable": gc.collect()}, sys.stdout)


if __name__ == "__main__":
    main()
