"""publish: client protocol 3.6, and payloads that a JSON client can not take (2.4)."""

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.config.schema import ChannelOptions, Namespace
from centrifast.errors import ErrorCode
from centrifast.protocol.wire import Encoding, Info, PublishResult, Reply
from tests.client.conftest import Serve
from tests.client.fakes import OPEN, Server, config, error, publication, publish, subscribe, token

BOTH = pytest.mark.parametrize("encoding", Encoding)
KEPT = Namespace(
    name="kept",
    history_size=10,
    history_ttl=60.0,
    allow_subscribe_for_client=True,
    allow_publish_for_client=True,
)
BINARY = ChannelOptions(
    allow_subscribe_for_client=True,
    allow_subscribe_for_anonymous=True,
    allow_publish_for_subscriber=True,
    allow_publish_for_anonymous=True,
    publication_data_format="binary",
)


def published(id_: int) -> Reply:
    return Reply(id=id_, publish=PublishResult())


@BOTH
def test_subscribers_and_the_publisher_itself_see_it_with_the_publishers_info(
    server: Server, encoding: Encoding
) -> None:
    publisher = server.connect(encoding, sub="42", info={"name": "Ann"})
    info = {"role": "op"}
    publisher.ask(subscribe(2, "news", token=token(channel="news", sub="42", info=info)))
    listener = server.subscriber("news", encoding)
    expected = publication(
        "news",
        b'{"n":1}',
        info=Info(
            user="42", client=publisher.id, conn_info=Raw(b'{"name":"Ann"}'), chan_info=Raw(b'{"role":"op"}')
        ),
    )
    replies = publisher.ask(publish(3, "news", b'{"n":1}'))
    assert len(replies) == 2
    assert published(3) in replies
    assert expected in replies
    assert listener.received() == [expected]


def test_an_anonymous_publisher_who_is_not_subscribed_has_the_least_info(server: Server) -> None:
    listener, publisher = server.subscriber("news"), server.connect()
    assert publisher.ask(publish(2, "news", b"1")) == [published(2)]
    assert listener.received() == [publication("news", b"1", info=Info(user="", client=publisher.id))]


@BOTH
def test_offsets_count_where_history_is_kept(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(namespaces=(KEPT,)))
    listener = server.subscriber("kept:1", encoding, sub="1")
    publisher = server.connect(encoding, sub="42")
    publisher.ask(publish(2, "kept:1", b"1"), publish(3, "kept:1", b"2"))
    seen = [reply.push.pub for reply in listener.received() if reply.push and reply.push.pub]
    assert [(pub.offset, bool(pub.epoch)) for pub in seen] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("channel", "data", "expected"),
    [
        ("nowhere:1", b"1", errors.UNKNOWN_CHANNEL),
        ("nowhere:é", b"", errors.UNKNOWN_CHANNEL),
        ("é", b"1", errors.BAD_REQUEST),
        ("news", b"", errors.BAD_REQUEST),
        ("objects:1", b"[]", errors.BAD_REQUEST),
        ("proxied:1", b"1", errors.NOT_AVAILABLE),
        ("closed:1", b"1", errors.PERMISSION_DENIED),
        ("subscribers:1", b"1", errors.PERMISSION_DENIED),
    ],
)
@BOTH
def test_rows_that_are_answered(
    serve: Serve, channel: str, data: bytes, expected: ErrorCode, encoding: Encoding
) -> None:
    namespaces = (
        Namespace(name="objects", allow_publish_for_client=True, publication_data_format="json_object"),
        Namespace(name="proxied", allow_publish_for_client=True, publish_proxy_enabled=True),
        Namespace(name="closed"),
        Namespace(name="subscribers", allow_publish_for_subscriber=True),
    )
    client = serve(config(options=OPEN, namespaces=namespaces)).connect(encoding, sub="42")
    assert client.ask(publish(2, channel, data)) == [error(2, expected)]
    assert client.closed_with is None


def test_a_long_name_is_no_matter_here(server: Server) -> None:
    assert server.connect().ask(publish(2, "x" * 300, b"1")) == [published(2)]


def test_null_is_a_payload(server: Server) -> None:
    listener, publisher = server.subscriber("news"), server.connect()
    publisher.write(b'{"id":2,"publish":{"channel":"news","data":null}}')
    (reply,) = listener.received()
    assert reply.push is not None
    assert reply.push.pub is not None
    assert reply.push.pub.data == Raw(b"null")


@BOTH
def test_an_empty_channel_disconnects(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding)
    assert client.ask(publish(2, "", b"1")) == []
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


def test_a_binary_payload_ends_json_subscribers_and_nobody_else(serve: Serve) -> None:
    server = serve(config(options=BINARY))
    json = [server.subscriber("news", Encoding.JSON) for _ in range(2)]
    protobuf, publisher = (server.subscriber("news", Encoding.PROTOBUF) for _ in range(2))
    publisher.send(publish(3, "news", b"\xff\x00"))
    assert protobuf.received() == [publication("news", b"\xff\x00", info=Info(user="", client=publisher.id))]
    for client in json:
        assert client.received() == []
        assert client.closed_with == errors.INAPPROPRIATE_PROTOCOL
    assert len(server.hub.clients) == 2


def test_newlines_are_taken_out_for_json_only(server: Server) -> None:
    json, protobuf = server.subscriber("news"), server.subscriber("news", Encoding.PROTOBUF)
    server.publish("news", b'{\n"a": "\\n"\n}')
    assert json.received() == [publication("news", b'{"a": "\\n"}')]
    assert protobuf.received() == [publication("news", b'{\n"a": "\\n"\n}')]
