"""What concerns a whole connection: client protocol 1.4, 3.3, 3.10, 3.11, 4.2 and the codes of 5.2, row by row."""

from typing import Any

from msgspec import Raw

from centrifast import errors
from centrifast._core import WRITE_FAILED
from centrifast.auth.issue import issue_token
from centrifast.config.schema import ChannelOptions, TokenConfig
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    RefreshRequest,
    SendRequest,
    SubscribeRequest,
)
from tests.client.fakes import NOW, SECRET, ClientOptions, Far, Server, done, subscribe, token
from tests.conformance.situations import SILENCE, NoHistory, Row

USER: dict[str, Any] = {"sub": "42"}
PONG = Command()
POSITIONED = ChannelOptions(
    history_size=5,
    history_ttl=60.0,
    history_meta_ttl=120.0,
    force_positioning=True,
    allow_subscribe_for_client=True,
)


def connect(text: str = "", **fields: Any) -> Command:
    """A connect command, usually with a token."""
    return Command(id=9, connect=ConnectRequest(token=text, **fields))


def refresh(text: str) -> Command:
    return Command(id=9, refresh=RefreshRequest(token=text))


def signed_for(**claims: object) -> ClientOptions:
    """Options under which a token must have these claims."""
    return {"token": TokenConfig(hmac_secret_key=SECRET, **claims)}  # type: ignore[arg-type]


def json(frame: bytes) -> dict[Encoding, bytes]:
    return {Encoding.JSON: frame}


def protobuf(text: str) -> dict[Encoding, bytes]:
    return {Encoding.PROTOBUF: bytes.fromhex(text)}


def pinged(server: Server, client: Far, seconds: float = 3.0) -> None:
    """Let pings go out, and take them."""
    server.advance(seconds)
    client.received()


# ------------------------------------------------------------------ 1.4

SUBSCRIBE_JSON = b'{"id":2,"subscribe":{"channel":"news"}}'

MALFORMED = (
    Row("line is not JSON", 3501, frames=json(b"news")),
    Row("line is cut", 3501, frames=json(SUBSCRIBE_JSON[:-1])),
    Row("line is no object", 3501, frames=json(b"[1]")),
    Row("message is not decodable Protobuf", 3501, frames=protobuf("03 ffffff")),
    Row("wrong type of the id", 3501, frames=json(b'{"id":"2","subscribe":{"channel":"news"}}')),
    Row("wrong type inside the request", 3501, frames=json(b'{"id":2,"subscribe":{"channel":7}}')),
    Row("wrong type of the request", 3501, frames=json(b'{"id":2,"subscribe":[]}')),
    Row("field of another wire type", 3501, frames=protobuf("05 0802 2a01 0a")),
    Row("blank line between commands", 3501, frames=json(b'{"id":2,"rpc":{}}\n\n{"id":3,"rpc":{}}')),
    Row("frame with no command at all", 3501, frames=json(b"") | protobuf("")),
    Row("nothing but a newline", 3501, frames=json(b"\n")),
    Row("length prefix larger than the rest", 3501, frames=protobuf("0c 0802 2a08 0a04 6e657773")),
    Row("length prefix without an end", 3501, frames=protobuf("ff")),
    Row("id 0 and not send is a pong", 3501, Command(subscribe=SubscribeRequest(channel="news"))),
    Row("connect without id is a pong", 3501, Command(connect=ConnectRequest()), fresh=True),
    Row("no request field set", 3501, Command(id=9)),
    Row("only ping", 3501, frames=json(b'{"id":2,"ping":{}}') | protobuf("04 0802 5a00")),
    Row("not connected and not connect", 3501, subscribe(9, "news"), fresh=True),
    Row("one trailing newline is tolerated", SILENCE, frames=json(b'{"send":null,"id":0}\n'), client={
        "ping_interval": 2.0, "pong_timeout": -1.0}, deed=pinged),
)  # fmt: skip


# ------------------------------------------------------------------ 3.3

OTHERS = {"user_connection_limit": 1}


def taken(server: Server, client: Far) -> None:
    """The user has a connection already."""
    server.connect(**USER)


CONNECT = (
    Row("second connect on the connection", 3501, connect()),
    Row("token not parseable", 3500, connect("x"), fresh=True),
    Row("bad signature", 3500, connect(issue_token(USER, "other")), fresh=True),
    Row("wrong aud", 3500, connect(token(**USER, aud="b")), fresh=True, client=signed_for(audience="a")),
    Row("wrong iss", 3500, connect(token(**USER, iss="b")), fresh=True, client=signed_for(issuer="a")),
    Row("channel claim", 3500, connect(token(**USER, channel="news")), fresh=True),
    Row("token expired", 109, connect(token(**USER, exp=NOW)), fresh=True),
    Row("token not yet valid", 109, connect(token(**USER, nbf=NOW + 60)), fresh=True),
    Row("bad signature before expired", 3500, connect(issue_token({"exp": NOW - 1}, "other")), fresh=True),
    Row("channel claim before expired", 3500, connect(token(channel="a", exp=NOW - 1)), fresh=True),
    Row("empty user id disallowed", 3507, connect(token(sub="")), fresh=True, client={
        "disallow_anonymous_connection_tokens": True}),
    Row("no credentials at all", 3501, connect(), fresh=True, client={
        "allow_anonymous_connect_without_token": False}),
    Row("expire_at in the past", 110, connect(token(**USER, exp=NOW + 60, expire_at=NOW - 1)), fresh=True),
    Row("server-side channel unknown", 102, connect(token(**USER, channels=["nope:a"])), fresh=True),
    Row("server-side subs unknown", 102, connect(token(**USER, subs={"nope:a": {}})), fresh=True),
    Row("own subs unknown", 3501, connect(subs={"nope:a": SubscribeRequest()}), fresh=True),
    Row("more channels than channel_limit", 3505, connect(token(**USER, channels=["a", "b"])), fresh=True,
        client={"channel_limit": 1}),
    Row("as many channels as channel_limit", "connect", connect(token(**USER, channels=["a"])), fresh=True,
        client={"channel_limit": 1}),
    Row("user_connection_limit", 3504, connect(token(**USER)), fresh=True, client=OTHERS, deed=taken),
    Row("user_connection_limit of another user", "connect", connect(token(sub="7")), fresh=True,
        client=OTHERS, deed=taken),
    Row("user_connection_limit of anonymous users", "connect", connect(), fresh=True, client=OTHERS,
        deed=lambda server, client: server.connect()),
    Row("a server-side subscription fails", 3004, connect(token(**USER, channels=["a"])), fresh=True,
        options=POSITIONED, broker=NoHistory),
    Row("bad info in the token", 100, connect(token(**USER, b64info="*")), fresh=True),
    Row("expire_at not positive means never", "connect", connect(token(**USER, exp=NOW + 9, expire_at=0)),
        fresh=True),
)  # fmt: skip


# ------------------------------------------------------------------ 3.10, 3.11, 4.2

SEND = (
    Row("no receiver", 3508, Command(send=SendRequest(data=Raw(b'{"seen":5}')))),
    Row("no receiver, with an id", 3508, Command(id=9, send=SendRequest(data=Raw(b"1")))),
)

REFRESH = (
    Row("empty token", 3501, refresh(""), claims=USER),
    Row("invalid token", 3500, refresh("x"), claims=USER),
    Row("another user", 3500, refresh(token(sub="7", exp=NOW + 60)), claims=USER),
    Row("token expired", 3005, refresh(token(**USER, exp=NOW)), claims=USER),
    Row("expiration not in the future", 110, refresh(token(**USER, exp=NOW + 60, expire_at=NOW)), claims=USER),
    Row("channels added", 3010, refresh(token(**USER, channels=["a"])), claims=USER),
    Row("subs taken away", 3010, refresh(token(**USER)), claims={**USER, "subs": {"a": {}}}),
    Row("the same channels", "refresh", refresh(token(**USER, channels=["a"])),
        claims={**USER, "subs": {"a": {}}}),
    Row("ok", "refresh", refresh(token(**USER, exp=NOW + 60)), claims={**USER, "exp": NOW + 10}),
    Row("no expiration", "refresh", refresh(token(**USER)), claims={**USER, "exp": NOW + 10}),
    Row("another user before other channels", 3500, refresh(token(sub="7", channels=["a"])), claims=USER),
)  # fmt: skip

PINGS = {"ping_interval": 4.0, "pong_timeout": 3.0}
UNASKED = {"ping_interval": 4.0, "pong_timeout": -1.0}


def ponged(server: Server, client: Far) -> None:
    """A ping has been answered."""
    pinged(server, client, 5)
    client.send(PONG)


PONGS = (
    Row("pong before the first ping", 3501, PONG, client=PINGS),
    Row("pong before the first ping, in raw", 3501, client=PINGS, frames=json(b"{}") | protobuf("00")),
    Row("one pong for one ping", SILENCE, PONG, client=PINGS, deed=lambda s, c: pinged(s, c, 5)),
    Row("second pong for one ping", 3501, PONG, client=PINGS, deed=ponged),
    Row("pong shares a frame with a command", "subscribe", (PONG, subscribe(9, "news")), client=PINGS,
        deed=lambda s, c: pinged(s, c, 5)),
    Row("no pong in time", 3012, client=PINGS, deed=lambda s, c: pinged(s, c, 9)),
    Row("pong not requested after a ping", SILENCE, PONG, client=UNASKED, deed=lambda s, c: pinged(s, c, 5)),
    Row("pong not requested and none comes", SILENCE, client=UNASKED, deed=lambda s, c: pinged(s, c, 13)),
)  # fmt: skip


# ------------------------------------------------------------------ 5.2: what no command brings about

GRACE = {"expired_close_delay": 5.0, "expired_sub_close_delay": 5.0, "presence_update_interval": 2.0}


def expires_on_the_server(server: Server, client: Far) -> None:
    """A server-side subscription runs out."""
    done(server.node.subscribe("42", "news", expire_at=NOW + 5))
    server.advance(13)


def refuses_to_read(server: Server, client: Far) -> None:
    """More waits than may."""
    client.transport.sink.block()
    server.publish("news", b'"%s"' % (b"x" * 2000))
    server.turns.run()


def loses_its_stream(server: Server, client: Far) -> None:
    """A server-side subscription finds the stream begun anew."""
    done(server.node.subscribe("42", "news"))
    server.clock.advance(200)
    server.publish("news", b"1")
    server.advance(1)


def gets_bytes(server: Server, client: Far) -> None:
    """Something that is no JSON is published."""
    server.publish("news", b"\xff")


ENDS = (
    Row("connection expired", 3005, claims={**USER, "exp": NOW + 5}, client=GRACE,
        deed=lambda server, client: server.advance(11)),
    Row("connection in its grace", SILENCE, claims={**USER, "exp": NOW + 5}, client=GRACE,
        deed=lambda server, client: server.advance(9)),
    Row("subscription expired, server-side", 3006, claims=USER, client=GRACE, deed=expires_on_the_server),
    Row("slow", 3008, before=(subscribe(2, "news"),), client={"queue_max_size": 1000}, deed=refuses_to_read),
    Row("write error", 3009, deed=lambda server, client: client.session.on_sink_failed(WRITE_FAILED)),
    Row("insufficient state, server-side", 3010, claims=USER, options=POSITIONED,
        client={"channel_position_check_delay": 0}, deed=loses_its_stream),
    Row("no connect in time", 3502, fresh=True, client={"stale_close_delay": 3.0},
        deed=lambda server, client: server.advance(4)),
    Row("force disconnect", 3503, claims=USER,
        deed=lambda server, client: done(server.node.disconnect("42", disconnect=errors.FORCE_DISCONNECT))),
    Row("shutdown", 3001, deed=lambda server, client: client.session.disconnect(errors.SHUTDOWN)),
)  # fmt: skip

INAPPROPRIATE = (Row("publication", 3506, before=(subscribe(2, "news"),), frames=json(b""), deed=gets_bytes),)

CONNECTION_ROWS = {
    "1.4": MALFORMED,
    "3.3": CONNECT,
    "3.10": SEND,
    "3.11": REFRESH,
    "4.2": PONGS,
    "5.2": ENDS,
    "2.4": INAPPROPRIATE,
}
