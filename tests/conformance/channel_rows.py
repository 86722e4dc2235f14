"""What concerns one channel: client protocol 3.4 to 3.9 and 3.12, row by row."""

from dataclasses import replace
from typing import Any

from msgspec import Raw

from centrifast.auth.issue import issue_token
from centrifast.config.schema import ChannelOptions, Namespace, RpcConfig, RpcPingConfig
from centrifast.protocol.wire import (
    Command,
    Encoding,
    FilterNode,
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RPCRequest,
    StreamPositionRequest,
    SubRefreshRequest,
)
from tests.client.fakes import NOW, OPEN, Far, Server, done, subscribe, token, unsubscribe
from tests.conformance.situations import Gappy, NoHistory, NoPresence, NoPublishing, NoSubscribing, Row

USER = {"sub": "42"}
CLOSED = ChannelOptions()
TYPED = ChannelOptions(channel_regex="^[a-z]+$", allow_subscribe_for_client=True, presence=True)
TYPED_CHAT = (
    Namespace(name="chat", channel_regex="^[a-z]+$", presence=True, history_size=1, history_ttl=9.0),
)
STREAM = replace(OPEN, history_size=5, history_ttl=60.0, history_meta_ttl=120.0)
RECOVERABLE = replace(STREAM, force_recovery=True)
PROXIED = replace(OPEN, subscribe_proxy_enabled=True)
STREAM_PROXIED = replace(OPEN, subscribe_stream_proxy_enabled=True)
SHARED_POLL, MAP = 4, 1
LONG = "x" * 256
FILTER = FilterNode(key="a", cmp="eq", val="1")


def sub(channel: str, **fields: Any) -> Command:
    return subscribe(9, channel, **fields)


def with_token(channel: str = "news", **claims: object) -> Command:
    """Subscribe to ``news`` with a token whose claims are those of user 42, but for *claims*."""
    return sub("news", token=token(**({"sub": "42", "channel": channel} | claims)))


def held_by_server(channel: str) -> Any:
    """The server has subscribed user 42 to *channel* itself."""
    return lambda server, client: done(server.node.subscribe("42", channel))


# ------------------------------------------------------------------ 3.4

SUBSCRIBE = (
    Row("1 empty channel", 3501, sub("")),
    Row("2 type 4 on a channel that is not shared-poll", 108, sub("news", type=SHARED_POLL)),
    Row("3 delta is not fossil", 3501, sub("news", delta="vcdiff")),
    Row("4 longer than max_length", 107, sub(LONG)),
    Row("4 longer than max_length in bytes of UTF-8", 107, sub("é" * 128)),
    Row("4 as long as max_length", "subscribe", sub("x" * 255)),
    Row("5 already subscribed", 105, sub("news"), before=(subscribe(2, "news"),)),
    Row("5 already subscribed, server-side", 105, sub("news"), claims=USER, deed=held_by_server("news")),
    Row("6 channel_limit", 106, sub("news"), before=(subscribe(2, "a"),), client={"channel_limit": 1}),
    Row("6 channel_limit, server-side", 106, sub("news"), claims=USER, deed=held_by_server("a"),
        client={"channel_limit": 1}),
    Row("7 namespace not configured", 102, sub("nope:a")),
    Row("8 channel_regex does not match", 107, sub("7"), options=TYPED, claims=USER),
    Row("8 channel_regex does not match the rest", 107, sub("chat:a7"), namespaces=TYPED_CHAT),
    Row("8 no regex and not ASCII", 107, sub("né")),
    Row("9 type does not fit", 103, sub("news", type=MAP)),
    Row("10 private channel without token", 103, sub("$news"), client={"insecure": True}),
    Row("11 token not valid", 103, sub("news", token="x"), claims=USER),
    Row("11 token of another key", 103, sub("news", token=issue_token({"channel": "news"}, "b"))),
    Row("11 token without channel", 103, with_token(channel=""), claims=USER),
    Row("11 token expired", 109, with_token(exp=NOW), claims=USER),
    Row("11 token not yet valid", 109, with_token(nbf=NOW + 60), claims=USER),
    Row("12 token of another channel", 3500, with_token(channel="other"), claims=USER),
    Row("12 token of another user", 3500, with_token(sub="7"), claims=USER),
    Row("12 token of another client", 3500, with_token(client="somebody"), claims=USER),
    Row("13 no token and no rule", 103, sub("news"), options=CLOSED, claims=USER),
    Row("13 no rule for anonymous users", 103, sub("news"),
        options=ChannelOptions(allow_subscribe_for_client=True)),
    Row("14 subscribe proxy not configured", 108, sub("news"), options=PROXIED),
    Row("14 stream proxy not configured", 108, sub("news"), options=STREAM_PROXIED),
    Row("15 would already be expired", 110, with_token(exp=NOW + 60, expire_at=NOW - 1), claims=USER),
    Row("16 tf not allowed", 107, sub("news", tf=FILTER)),
    Row("16 tf invalid", 107, sub("news", tf=FilterNode(cmp="eq")),
        options=replace(OPEN, allow_tags_filter=True)),
    Row("16 tf together with delta", 107, sub("news", tf=FILTER, delta="fossil"),
        options=replace(OPEN, allow_tags_filter=True, allowed_delta_types=("fossil",))),
    Row("17 recovery impossible and flag 2", 112, sub("news", recover=True, offset=7, flag=3),
        options=RECOVERABLE),
    Row("18 broker failure", 3004, sub("news"), broker=NoSubscribing),
    Row("18 history failure", 3004, sub("news"), options=RECOVERABLE, broker=NoHistory),
    Row("18 presence failure", 3004, sub("news"), options=replace(OPEN, presence=True), presence=NoPresence),
    Row("19 gap between recovered and buffered", 3010, sub("news"), options=RECOVERABLE, broker=Gappy),
    Row("ok", "subscribe", sub("news")),
    Row("ok with token in a closed namespace", "subscribe", with_token(), claims=USER, options=CLOSED),
    Row("ok private with token", "subscribe",
        sub("$a", token=token(sub="42", channel="$a")), claims=USER, options=CLOSED),
)  # fmt: skip

SUBSCRIBE_PAIRS = (
    Row("1 before 2", 3501, sub("", type=SHARED_POLL)),
    Row("2 before 3", 108, sub("news", type=SHARED_POLL, delta="x")),
    Row("2 before 7", 108, sub("nope:a", type=SHARED_POLL)),
    Row("3 before 4", 3501, sub(LONG, delta="x")),
    Row("4 before 5", 107, sub(LONG), claims=USER, deed=held_by_server(LONG)),
    Row("4 before 6", 107, sub(LONG), client={"channel_limit": 0}),
    Row("4 before 7", 107, sub("nope:" + LONG)),
    Row("5 before 6", 105, sub("news"), before=(subscribe(2, "news"),), client={"channel_limit": 1}),
    Row("6 before 7", 106, sub("nope:a"), client={"channel_limit": 0}),
    Row("7 before 8", 102, sub("nope:é")),
    Row("8 before 9", 107, sub("é", type=MAP)),
    Row("8 before 10", 107, sub("$é")),
    Row("8 before 11", 107, sub("é", token="x")),
    Row("9 before 11", 103, sub("news", type=MAP, token=token(exp=NOW))),
    Row("10 before 14", 103, sub("$news"), options=PROXIED),
    Row("11 before 12", 109, with_token(channel="other", exp=NOW), claims=USER),
    Row("11 before 13", 109, with_token(exp=NOW), claims=USER, options=CLOSED),
    Row("12 before 15", 3500, with_token(sub="7", expire_at=NOW - 1), claims=USER),
    Row("15 before 16", 110, sub("news", tf=FILTER, token=token(sub="42", channel="news", expire_at=NOW - 1)),
        claims=USER),
    Row("16 before 17", 107, sub("news", tf=FILTER, recover=True, offset=7, flag=2), options=RECOVERABLE),
    Row("16 before 18", 107, sub("news", tf=FILTER), broker=NoSubscribing),
)  # fmt: skip


# ------------------------------------------------------------------ 3.5

UNSUBSCRIBE = (
    Row("empty channel", 3501, unsubscribe(9, "")),
    Row("not subscribed", "unsubscribe", unsubscribe(9, "news")),
    Row("no such namespace", "unsubscribe", unsubscribe(9, "nope:a")),
    Row("subscribed", "unsubscribe", unsubscribe(9, "news"), before=(subscribe(2, "news"),)),
    Row("server-side", "unsubscribe", unsubscribe(9, "news"), claims=USER, deed=held_by_server("news")),
)


# ------------------------------------------------------------------ 3.6


def pub(channel: str = "news", data: bytes = b'{"t":1}') -> Command:
    return Command(id=9, publish=PublishRequest(channel=channel, data=Raw(data)))


def only(**options: Any) -> ChannelOptions:
    """A namespace in which anybody may subscribe, and for the rest only what is named."""
    return ChannelOptions(allow_subscribe_for_client=True, allow_subscribe_for_anonymous=True, **options)


HERE = (subscribe(2, "news"),)
PUBLISH = (
    Row("empty channel", 3501, pub("")),
    Row("unknown namespace", 102, pub("nope:a")),
    Row("name fails the regex", 107, pub("7"), options=TYPED, claims=USER),
    Row("name is not ASCII", 107, pub("é")),
    Row("the length limit is checked by subscribe only", "publish", pub(LONG)),
    Row("empty data", 107, pub(data=b"")),
    Row("data is no JSON", 107, pub(data=b"x"), options=replace(OPEN, publication_data_format="json"),
        only=Encoding.PROTOBUF),
    Row("data is no JSON object", 107, pub(data=b"[1]"),
        options=replace(OPEN, publication_data_format="json_object")),
    Row("empty data as binary", "publish", pub(data=b""),
        options=replace(OPEN, publication_data_format="binary")),
    Row("publish proxy not configured", 108, pub(), options=replace(OPEN, publish_proxy_enabled=True)),
    Row("allow_publish_for_client", "publish", pub(), options=only(allow_publish_for_client=True), claims=USER),
    Row("allow_publish_for_client does not mean anonymous users", 103, pub(),
        options=only(allow_publish_for_client=True)),
    Row("and allow_publish_for_anonymous", "publish", pub(),
        options=only(allow_publish_for_client=True, allow_publish_for_anonymous=True)),
    Row("allow_publish_for_anonymous alone", 103, pub(), options=only(allow_publish_for_anonymous=True)),
    Row("allow_publish_for_subscriber", "publish", pub(), before=HERE,
        options=only(allow_publish_for_subscriber=True), claims=USER),
    Row("allow_publish_for_subscriber, not subscribed", 103, pub(),
        options=only(allow_publish_for_subscriber=True), claims=USER),
    Row("client.insecure", "publish", pub(), options=CLOSED, client={"insecure": True}),
    Row("otherwise", 103, pub(), options=only(), claims=USER, before=HERE),
    Row("broker failure", 100, pub(), broker=NoPublishing),
    Row("namespace before name", 102, pub("nope:é")),
    Row("name before data", 107, pub("é", b"")),
    Row("data before permission", 107, pub(data=b""), options=CLOSED),
    Row("data before proxy", 107, pub(data=b""), options=replace(OPEN, publish_proxy_enabled=True)),
    Row("proxy before permission", 108, pub(), options=ChannelOptions(publish_proxy_enabled=True)),
)  # fmt: skip


# ------------------------------------------------------------------ 3.7


def presence(channel: str = "news") -> Command:
    return Command(id=9, presence=PresenceRequest(channel=channel))


def stats(channel: str = "news") -> Command:
    return Command(id=9, presence_stats=PresenceStatsRequest(channel=channel))


def presence_rows(ask: Any, result: str) -> tuple[Row, ...]:
    """The order of checks of 3.7, for either command."""
    seen: dict[str, Any] = {"presence": True}
    return (
        Row("empty channel", 3501, ask("")),
        Row("unknown namespace", 102, ask("nope:a")),
        Row("unknown namespace before name", 102, ask("nope:é")),
        Row("name fails the regex", 107, ask("7"), options=TYPED, claims=USER),
        Row("name before presence off", 107, ask("é")),
        Row("presence off", 108, ask(), options=only(allow_presence_for_client=True), claims=USER),
        Row("presence off before permission", 108, ask(), options=CLOSED),
        Row("presence off even with client.insecure", 108, ask(), client={"insecure": True}),
        Row("no permission", 103, ask(), options=only(**seen), claims=USER, before=HERE),
        Row("allow_presence_for_client", result, ask(), claims=USER,
            options=only(**seen, allow_presence_for_client=True)),
        Row("allow_presence_for_client, anonymous", 103, ask(),
            options=only(**seen, allow_presence_for_client=True)),
        Row("and allow_presence_for_anonymous", result, ask(),
            options=only(**seen, allow_presence_for_client=True, allow_presence_for_anonymous=True)),
        Row("allow_presence_for_subscriber", result, ask(), claims=USER, before=HERE,
            options=only(**seen, allow_presence_for_subscriber=True)),
        Row("allow_presence_for_subscriber, not subscribed", 103, ask(), claims=USER,
            options=only(**seen, allow_presence_for_subscriber=True)),
        Row("client.insecure", result, ask(), options=ChannelOptions(**seen), client={"insecure": True}),
        Row("presence failure", 100, ask(), options=ChannelOptions(**seen), client={"insecure": True},
            presence=NoPresence),
    )  # fmt: skip


# ------------------------------------------------------------------ 3.8


def history(channel: str = "news", **fields: Any) -> Command:
    return Command(id=9, history=HistoryRequest(channel=channel, **fields))


KEPT: dict[str, Any] = {"history_size": 5, "history_ttl": 60.0}
READABLE = only(**KEPT, allow_history_for_client=True)


def published(server: Server, client: Far) -> None:
    """The stream is at offset 3."""
    for data in (b"1", b"2", b"3"):
        server.publish("news", data)


def since(offset: int, epoch: str = "") -> StreamPositionRequest:
    return StreamPositionRequest(offset, epoch)


HISTORY = (
    Row("empty channel", 3501, history("")),
    Row("unknown namespace", 102, history("nope:a")),
    Row("unknown namespace before name", 102, history("nope:é")),
    Row("name fails the regex", 107, history("chat:7"), namespaces=TYPED_CHAT, claims=USER),
    Row("name before history off", 107, history("é")),
    Row("history off", 108, history(), options=only(allow_history_for_client=True), claims=USER),
    Row("history off before permission", 108, history(), options=CLOSED),
    Row("history off even with client.insecure", 108, history(), client={"insecure": True}),
    Row("no permission", 103, history(), options=only(**KEPT), claims=USER, before=HERE),
    Row("permission before the position", 103, history(since=since(0), reverse=True), options=only(**KEPT)),
    Row("allow_history_for_client", "history", history(), options=READABLE, claims=USER),
    Row("allow_history_for_client, anonymous", 103, history(), options=READABLE),
    Row("and allow_history_for_anonymous", "history", history(),
        options=replace(READABLE, allow_history_for_anonymous=True)),
    Row("allow_history_for_subscriber", "history", history(), claims=USER, before=HERE,
        options=only(**KEPT, allow_history_for_subscriber=True)),
    Row("allow_history_for_subscriber, not subscribed", 103, history(), claims=USER,
        options=only(**KEPT, allow_history_for_subscriber=True)),
    Row("client.insecure", "history", history(), options=ChannelOptions(**KEPT), client={"insecure": True}),
    Row("another epoch", 112, history(since=since(1, "other")), options=READABLE, claims=USER, deed=published),
    Row("another epoch, even without limit", 112, history(since=since(0, "other"), limit=0),
        options=READABLE, claims=USER),
    Row("empty epoch is not checked", "history", history(since=since(1)), options=READABLE, claims=USER),
    Row("reverse with offset 0", 107, history(since=since(0), reverse=True), options=READABLE, claims=USER),
    Row("above the top is no error", "history", history(since=since(99), limit=5), options=READABLE,
        claims=USER, deed=published),
    Row("broker failure", 100, history(), options=READABLE, claims=USER, broker=NoHistory),
)  # fmt: skip


# ------------------------------------------------------------------ 3.9


def rpc(method: str = "") -> Command:
    return Command(id=9, rpc=RPCRequest(method=method, data=Raw(b"{}")))


PING = RpcConfig(ping=RpcPingConfig(enabled=True, method="ping"))
RPC = (
    Row("no proxy at all", 108, rpc("getTime")),
    Row("no proxy at all, no method", 108, rpc()),
    Row("no proxy at all, some namespace", 108, rpc("nope:getTime")),
    Row("built-in ping", "rpc", rpc("ping"), rpc=PING),
    Row("built-in ping and another method", 104, rpc("getTime"), rpc=PING),
    Row("built-in ping and another namespace", 104, rpc("nope:ping"), rpc=PING),
)


# ------------------------------------------------------------------ 3.12


def sub_refresh(channel: str, text: str) -> Command:
    return Command(id=9, sub_refresh=SubRefreshRequest(channel=channel, token=text))


def fresh(**claims: object) -> str:
    """A subscription token of user 42 for ``news`` that holds for another minute, but for *claims*."""
    return token(**({"sub": "42", "channel": "news", "exp": NOW + 60} | claims))


SUB_REFRESH = (
    Row("empty channel and empty token", 3501, sub_refresh("", ""), claims=USER, before=HERE),
    Row(
        "empty channel is taken from the token",
        "sub_refresh",
        sub_refresh("", fresh()),
        claims=USER,
        before=HERE,
    ),
    Row("not subscribed", 103, sub_refresh("news", fresh()), claims=USER),
    Row("not subscribed, channel from the token", 103, sub_refresh("", fresh()), claims=USER),
    Row(
        "server-side subscription",
        3501,
        sub_refresh("news", fresh()),
        claims=USER,
        deed=held_by_server("news"),
    ),
    Row("empty token", 107, sub_refresh("news", ""), claims=USER, before=HERE),
    Row("invalid token", 3500, sub_refresh("news", "x"), claims=USER, before=HERE),
    Row("wrong channel", 3500, sub_refresh("news", fresh(channel="other")), claims=USER, before=HERE),
    Row("wrong user", 3500, sub_refresh("news", fresh(sub="7")), claims=USER, before=HERE),
    Row("wrong client", 3500, sub_refresh("news", fresh(client="x")), claims=USER, before=HERE),
    Row(
        "new expiration in the past",
        110,
        sub_refresh("news", fresh(expire_at=NOW - 1)),
        claims=USER,
        before=HERE,
    ),
    Row("expired token", 109, sub_refresh("news", fresh(exp=NOW)), claims=USER, before=HERE),
    Row("ok", "sub_refresh", sub_refresh("news", fresh()), claims=USER, before=HERE),
)


# ------------------------------------------------------------------ 5.3: what no command brings about

GRACE = {"expired_sub_close_delay": 5.0, "presence_update_interval": 2.0}


def restarted(server: Server, client: Far) -> None:
    """The stream is forgotten and begins anew."""
    server.clock.advance(200)
    published(server, client)
    server.advance(1)


UNSUBSCRIBED = (
    Row("server unsubscribe", 2000, claims=USER, before=HERE,
        deed=lambda server, client: done(server.node.unsubscribe("42", "news"))),
    Row("insufficient state", 2500, before=HERE, options=RECOVERABLE, deed=restarted,
        client={"channel_position_check_delay": 0}),
    Row("subscription expired", 2501, claims=USER, client=GRACE, deed=lambda server, client: server.advance(13),
        before=(subscribe(2, "news", token=fresh(exp=NOW + 5)),)),
)  # fmt: skip

CHANNEL_ROWS = {
    "3.4": SUBSCRIBE,
    "3.4, the first that fails decides:": SUBSCRIBE_PAIRS,
    "3.5": UNSUBSCRIBE,
    "3.6": PUBLISH,
    "3.7 presence": presence_rows(presence, "presence"),
    "3.7 presence_stats": presence_rows(stats, "presence_stats"),
    "3.8": HISTORY,
    "3.9": RPC,
    "3.12": SUB_REFRESH,
    "5.3": UNSUBSCRIBED,
}
