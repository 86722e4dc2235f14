"""What a client is told of a subscription it has got: which fields, and what it can not be told."""

from typing import Any

import pytest

from centrifast import errors
from centrifast.client.commands.results import subscribe_result
from centrifast.delivery import Delivery
from centrifast.hub import Subscription
from centrifast.model import NO_POSITION, Publication, StreamPosition
from centrifast.protocol.wire import Encoding, SubscribeResult
from centrifast.recovered_cache import RecoveredCache
from centrifast.recovery import Recovery
from centrifast.subscriptions import NOTHING_RECOVERED, Resume
from tests.client.conftest import Serve
from tests.client.fakes import CODECS, config
from tests.client.streams import EPOCH, RECOVERABLE, pub, recover, recovered

BOTH = pytest.mark.parametrize("encoding", Encoding)
TOP = StreamPosition(8, EPOCH)
ASKED = Resume(StreamPosition(7, EPOCH))


def result(
    delivery: Delivery, recovery: Recovery, resume: Resume | None = None, **kind: Any
) -> SubscribeResult:
    was_recovering = kind.pop("was_recovering", resume is not None)
    return subscribe_result(
        CODECS[Encoding.JSON],
        RecoveredCache(),
        "news",
        Subscription(server_side=False, delivery=delivery, **kind),
        recovery,
        resume,
        was_recovering=was_recovering,
    )


@pytest.mark.parametrize("was_recovering", [False, True])
def test_without_a_position_only_echo_and_delta_are_told(was_recovering: bool) -> None:
    told = result(Delivery(delta=True), NOTHING_RECOVERED, was_recovering=was_recovering)
    assert told == SubscribeResult(delta=True, was_recovering=was_recovering)


@pytest.mark.parametrize("recoverable", [False, True])
def test_a_position_is_told_with_what_it_is_good_for(recoverable: bool) -> None:
    told = result(Delivery(positioned=True), Recovery(TOP), recoverable=recoverable)
    assert told == SubscribeResult(recoverable=recoverable, epoch=EPOCH, offset=8, positioned=True)


@pytest.mark.parametrize(
    ("recovery", "offset"),
    [
        (Recovery(TOP), 8),
        (Recovery(TOP, recovered=True), 7),
        (Recovery(TOP, recovered=True, publications=[Publication(b"8", 8)]), 7),
    ],
)
def test_a_client_goes_on_from_its_own_offset_only_if_it_gets_what_it_missed(
    recovery: Recovery, offset: int
) -> None:
    told = result(Delivery(positioned=True), recovery, ASKED, recoverable=True)
    assert (told.recovered, told.offset, told.was_recovering) == (recovery.recovered, offset, True)
    assert (told.publications is None) is (not recovery.publications)


def test_a_fresh_client_of_a_cache_has_no_offset() -> None:
    newest = Recovery(TOP, recovered=True, publications=[Publication(b"8", 8)])
    told = result(Delivery(positioned=True), newest, Resume(NO_POSITION, newest_only=True), recoverable=True)
    assert (told.recovered, told.offset) == (True, 0)


def test_what_a_json_client_has_missed_must_be_json(serve: Serve) -> None:
    server = serve(config(options=RECOVERABLE))
    server.publish("news", b"\xff")
    text, binary = server.connect(), server.connect(Encoding.PROTOBUF)
    assert binary.ask(recover(2, 0)) == [recovered(2, 0, pub(b"\xff", 1))]
    assert text.ask(recover(2, 0)) == []
    assert text.closed_with == errors.INAPPROPRIATE_PROTOCOL


def test_what_was_missed_at_connect_must_be_json_as_well(serve: Serve) -> None:
    server = serve(config(options=RECOVERABLE))
    server.publish("news", b"\xff")
    client = server.open()
    client.write(b'{"id":1,"connect":{"subs":{"news":{"recover":true}}}}')
    assert client.received() == []
    assert client.closed_with == errors.INAPPROPRIATE_PROTOCOL
