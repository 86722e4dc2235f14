"""Section 15 of the client protocol, item by item: delta. What is read is put together by an official client's code."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import centrifuge
import msgspec
import pytest
from msgspec import Raw

from centrifast.config.schema import ChannelOptions
from centrifast.protocol.wire import Encoding, Pub, Reply
from tests.client.conftest import Serve
from tests.client.fakes import Far, Server, config, done, subscribe
from tests.client.streams import EPOCH, RECOVERABLE, recover

BOTH = pytest.mark.parametrize("encoding", Encoding)
DELTA = replace(RECOVERABLE, allowed_delta_types=("fossil",), delta_publish=True)


def payload(number: int, word: str = "plain") -> bytes:
    """A document of which little changes from one to the next."""
    rows = ",".join(f'{{"team":"team {row}","points":{row * 3}}}' for row in range(20))
    return f'{{"title":"{word}","rows":[{rows}],"number":{number}}}'.encode()


class Reader:
    """What a client does with the publications of one subscription on which deltas are agreed."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._base = b""
        self.sizes: list[int] = []
        self.deltas: list[bool] = []

    def read(self, publications: Sequence[Pub]) -> list[bytes]:
        """The payloads."""
        return [self._read_one(publication) for publication in publications]

    def _read_one(self, publication: Pub) -> bytes:
        data = bytes(publication.data)
        if self._encoding is Encoding.JSON:
            data = msgspec.json.decode(data, type=str).encode()  # every data is a string in JSON
        self.sizes.append(len(data))
        self.deltas.append(publication.delta)
        self._base = bytes(centrifuge.fossil.apply_delta(self._base, data)) if publication.delta else data
        return self._base


def pushed(replies: Sequence[Reply]) -> list[Pub]:
    return [reply.push.pub for reply in replies if reply.push is not None and reply.push.pub is not None]


def enter(server: Server, encoding: Encoding, channel: str = "news") -> Far:
    """A subscriber with deltas."""
    client = server.connect(encoding)
    (reply,) = client.ask(subscribe(2, channel, delta="fossil"))
    assert reply.subscribe is not None
    assert reply.subscribe.delta
    return client


@BOTH
def test_first_full_then_patches(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=DELTA))
    server.publish("news", payload(0))
    client, reader = enter(server, encoding), Reader(encoding)
    sent = [payload(number) for number in range(1, 6)]
    for data in sent:
        server.publish("news", data)
    publications = pushed(client.received())
    assert reader.read(publications) == sent
    assert reader.deltas == [False, True, True, True, True]
    assert [publication.offset for publication in publications] == [2, 3, 4, 5, 6]
    assert max(reader.sizes[1:]) < len(sent[0]) / 4


@pytest.mark.parametrize(
    ("options", "agreed"),
    [
        (DELTA, True),
        (replace(DELTA, delta_publish=False), True),
        (replace(DELTA, allowed_delta_types=()), False),
    ],
)
def test_every_data_a_string_in_json(serve: Serve, options: ChannelOptions, agreed: bool) -> None:
    server = serve(config(options=options))
    client = server.connect()
    (reply,) = client.ask(subscribe(2, "news", delta="fossil"))
    assert reply.subscribe is not None
    assert reply.subscribe.delta is agreed
    for number in range(3):
        server.publish("news", payload(number))
    for number, publication in enumerate(pushed(client.received())):
        assert bytes(publication.data).startswith(b'"' if agreed else b"{")
        if not agreed:
            assert bytes(publication.data) == payload(number)


@BOTH
def test_without_a_position_full_payloads_in_delta_form(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(DELTA, force_recovery=False)))
    client, reader = enter(server, encoding), Reader(encoding)
    sent = [payload(number) for number in range(3)]
    for data in sent:
        server.publish("news", data)
    assert reader.read(pushed(client.received())) == sent
    assert reader.deltas == [False, False, False]


@BOTH
def test_patch_never_longer_than_full(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=DELTA))
    client, reader = enter(server, encoding), Reader(encoding)
    sent = [
        b'"%s"' % text
        for text in (b"a", b"b", b"abcdefghij" * 9, b"0123456789" * 9, b"0123456789" * 9 + b"!")
    ]
    for data in sent:
        server.publish("news", data)
    assert reader.read(pushed(client.received())) == sent
    assert all(size <= len(data) for size, data in zip(reader.sizes, sent, strict=True))
    assert reader.deltas[-1]


@BOTH
def test_utf8_fallback(serve: Serve, encoding: Encoding) -> None:
    """é and è differ in their second byte: the patch that cuts them is no text."""
    server = serve(config(options=DELTA))
    client, reader = enter(server, encoding), Reader(encoding)
    sent = [payload(7, word) for word in ("pain \u00e9", "pain \u00e8", "pain \u00e8s")]
    for data in sent:
        server.publish("news", data)
    assert reader.read(pushed(client.received())) == sent
    assert reader.deltas == [False, encoding is Encoding.PROTOBUF, True]


@pytest.mark.parametrize("marked", [True, False])
@BOTH
def test_recovered_chain(serve: Serve, marked: bool, encoding: Encoding) -> None:
    """Recovered ones are a chain whether or not they were marked; what follows them goes on from there."""
    server = serve(config(options=replace(DELTA, delta_publish=marked)))
    sent = [payload(number) for number in range(6)]
    for data in sent[:5]:
        server.publish("news", data)
    client, reader = server.connect(encoding), Reader(encoding)
    (reply,) = client.ask(recover(2, 1, EPOCH, delta="fossil"))
    assert reply.subscribe is not None
    publications = reply.subscribe.publications
    assert isinstance(publications, list)
    assert reader.read(publications) == sent[1:5]
    assert reader.deltas == [False, True, True, True]
    done(server.node.publish("news", sent[5], delta=True))
    assert reader.read(pushed(client.received())) == [sent[5]]
    assert reader.deltas[-1]


@BOTH
def test_nothing_recovered_leaves_the_base_unknown(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=DELTA))
    server.publish("news", payload(0))
    client, reader = server.connect(encoding), Reader(encoding)
    (reply,) = client.ask(recover(2, 1, EPOCH, delta="fossil"))
    assert reply.subscribe is not None
    assert reply.subscribe.recovered
    server.publish("news", payload(1))
    assert reader.read(pushed(client.received())) == [payload(1)]
    assert reader.deltas == [False]


def test_mixed_subscribers_on_one_channel(serve: Serve) -> None:
    server = serve(config(options=DELTA))
    plain = [server.connect(encoding) for encoding in Encoding]
    for client in plain:
        client.ask(subscribe(2, "news"))
    agreed = [(enter(server, encoding), Reader(encoding)) for encoding in Encoding]
    sent = [payload(number) for number in range(4)]
    for data in sent[:2]:
        server.publish("news", data)
    late = [(enter(server, encoding), Reader(encoding)) for encoding in Encoding]
    for data in sent[2:]:
        server.publish("news", data)
    for client in plain:
        publications = pushed(client.received())
        assert [bytes(publication.data) for publication in publications] == sent
        assert not any(publication.delta for publication in publications)
    for client, reader in agreed:
        assert reader.read(pushed(client.received())) == sent
        assert reader.deltas == [False, True, True, True]
    for client, reader in late:
        assert reader.read(pushed(client.received())) == sent[2:]
        assert reader.deltas == [False, True]


@BOTH
def test_publications_that_are_not_marked_are_full(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(options=replace(DELTA, delta_publish=False)))
    client, reader = enter(server, encoding), Reader(encoding)
    marks = [False, True, False, True]
    sent = [payload(number) for number in range(4)]
    for mark, data in zip(marks, sent, strict=True):
        done(server.node.publish("news", data, delta=mark, tags={"k": "v"}))
    publications = pushed(client.received())
    assert reader.read(publications) == sent
    assert reader.deltas == marks
    assert all(publication.tags == {"k": "v"} for publication in publications)
    assert all(first.offset + 1 == second.offset for first, second in pairwise(publications))


@pytest.mark.parametrize("text", [b"\xff\xfe", b"not JSON"])
def test_a_payload_that_is_no_json_fits_where_deltas_are_agreed(serve: Serve, text: bytes) -> None:
    server = serve(config(options=DELTA))
    client = enter(server, Encoding.JSON)
    server.publish("news", text)
    (publication,) = pushed(client.received())
    expected = text.decode(errors="replace")
    assert publication.data == Raw(msgspec.json.encode(expected))
    assert client.closed_with is None
