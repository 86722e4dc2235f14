"""What becomes of messages."""

import asyncio

import pytest

from centrifast.api.decoding import MalformedError
from centrifast.consumers import dispatch
from centrifast.consumers.dispatch import Backoff, Dispatcher, Verdict, end, read, wait_for
from centrifast.consumers.messages import decode_calls
from tests.api.node import FakeNode
from tests.fakes import FakeClock
from tests.server.http_peer import run


def verdict_of(message: bytes, node: FakeNode) -> Verdict:
    (call,) = read(message, decode_calls)
    return run(Dispatcher("jobs", node).make(call, message))


def counts(node: FakeNode) -> tuple[int, int]:
    """Processed, failed."""
    return node.metrics.consumed.of("jobs").value, node.metrics.consume_errors.of("jobs").value


def publish(channel: str) -> bytes:
    return b'{"method":"publish","payload":{"channel":"%b","data":1}}' % channel.encode()


def broadcast(*channels: str) -> bytes:
    names = ",".join(f'"{channel}"' for channel in channels).encode()
    return b'{"method":"broadcast","payload":{"channels":[%b],"data":1}}' % names


def test_what_is_executed_is_done() -> None:
    node = FakeNode()
    assert verdict_of(publish("news"), node) is Verdict.DONE
    assert verdict_of(broadcast("a", "b"), node) is Verdict.DONE
    assert [call[1] for call in node.calls] == ["news", "a", "b"]
    assert counts(node) == (2, 0)


@pytest.mark.parametrize("message", [publish("away:a"), publish("bug:a"), broadcast("a", "away:b", "nope:c")])
def test_an_internal_error_is_worth_a_retry(message: bytes) -> None:
    node = FakeNode()
    assert verdict_of(message, node) is Verdict.RETRY
    assert counts(node) == (0, 1)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"garbage", "JSON is malformed: invalid character (byte 0)"),
        (b'{"method":"info","payload":{}}', "unsupported method"),
        (publish("nope:a"), "error 102: unknown channel"),
        (publish(""), "error 107: bad request"),
        (broadcast(), "error 107: bad request"),
        (broadcast("a", "nope:b"), "not for every channel: error 102: unknown channel"),
    ],
)
def test_what_no_retry_makes_better_is_skipped_and_said(
    message: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    node = FakeNode()
    assert verdict_of(message, node) is Verdict.SKIPPED
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.fields == {  # type: ignore[attr-defined]
        "consumer": "jobs",
        "reason": reason,
        "beginning": message.decode(),
    }
    assert counts(node) == (1, 0)


def test_only_the_beginning_of_a_message_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    verdict_of(b"\xff" * 1000, FakeNode())
    (record,) = caplog.records
    assert record.fields["beginning"] == "\ufffd" * 128  # type: ignore[attr-defined]


def test_a_message_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    message = publish("news")
    monkeypatch.setattr(dispatch, "CONSUMER_MESSAGE_SIZE", len(message))
    assert not isinstance(read(message, decode_calls)[0], MalformedError)
    (found,) = read(message + b" ", decode_calls)
    assert str(found) == f"more than {len(message)} bytes"


def test_pauses_double_up_to_the_last() -> None:
    clock = FakeClock()
    clock.chance = 0.0
    pauses = Backoff(clock, 0.01, 0.05)
    assert [pauses.take() for _ in range(5)] == [0.01, 0.02, 0.04, 0.05, 0.05]
    pauses.reset()
    clock.chance = 0.5
    assert [pauses.take() for _ in range(4)] == pytest.approx([0.015, 0.03, 0.05, 0.05])


def test_a_wait_ends_with_its_event() -> None:
    async def scenario() -> None:
        event = asyncio.Event()
        assert not await wait_for(event, 0.0)
        asyncio.get_running_loop().call_soon(event.set)
        assert await wait_for(event, 1000.0)

    run(scenario())


def test_tasks_are_gone_when_they_have_ended() -> None:
    async def scenario() -> None:
        tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(2)]
        await end(tasks)  # type: ignore[arg-type]
        assert all(task.cancelled() for task in tasks)
        await end([])

    run(scenario())
