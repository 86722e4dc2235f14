"""Hub, delivery and core against a model: who was subscribed when, and so what must have arrived."""

import time
from collections import defaultdict
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from centrifast._core import Drain
from centrifast._wheel import TimingWheel
from centrifast.delivery import Deliverer
from centrifast.hub import Hub
from centrifast.model import NO_POSITION, Publication
from centrifast.protocol.codec import NotJsonError
from centrifast.protocol.wire import Encoding, Pub
from tests.core_fakes import JSON, PROTOBUF, Peer, Turns
from tests.fakes import FakeClock


def encode_json(channel: str, publication: Pub) -> bytes:
    if b"\x00" in bytes(publication.data):
        raise NotJsonError
    return channel.encode() + b" " + bytes(publication.data)


def encode_protobuf(channel: str, publication: Pub) -> bytes:
    payload = encode_json(channel, publication)
    return bytes([len(payload)]) + payload


class PlainCodec:
    """As much of a codec as a plain publication needs, with messages that a test can read."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.encode_publication = encode_json if encoding is Encoding.JSON else encode_protobuf


CODECS: dict[Any, Any] = {JSON: PlainCodec(Encoding.JSON), PROTOBUF: PlainCodec(Encoding.PROTOBUF)}


class Client(Peer):
    """A peer that stands for a session as well."""

    def __init__(self, number: int, user: str, drain: Drain, wheel: TimingWheel, *, protobuf: bool) -> None:
        super().__init__(drain, wheel, PROTOBUF if protobuf else JSON)
        self.client = f"client-{number}"
        self.user = user
        self.handler = self
        self.expected: list[str] = []
        self.arrived: list[str] = []

    def collect(self) -> list[str]:
        skip = 1 if self.sink.variant is PROTOBUF else 0
        self.arrived += [message[skip:].decode() for message in self.messages()]
        return self.arrived


class HubMachine(RuleBasedStateMachine):
    """Random subscribing, leaving, vanishing and publishing, with slices of sixteen sends."""

    clients = Bundle("clients")

    @initialize()
    def start(self) -> None:
        self.turns = Turns()
        self.drain = Drain(self.turns.call_soon, 1 << 20, 0.0)
        self.wheel = TimingWheel(time.monotonic())
        self.hub = Hub(self.drain)
        self.deliverer = Deliverer(CODECS, FakeClock(0))
        self.members: dict[str, set[Client]] = defaultdict(set)
        self.alive: list[Client] = []
        self.number = 0

    @rule(target=clients, protobuf=st.booleans(), user=st.sampled_from(["", "1", "2"]))
    def connect(self, protobuf: bool, user: str) -> Client:
        self.number += 1
        client = Client(self.number, user, self.drain, self.wheel, protobuf=protobuf)
        self.hub.add_client(client)  # type: ignore[arg-type]
        self.alive.append(client)
        return client

    @rule(count=st.integers(1, 40), channel=st.sampled_from("ab"))
    def connect_and_subscribe_many(self, count: int, channel: str) -> None:
        for _ in range(count):
            self.subscribe(self.connect(False, ""), channel)

    @rule(client=clients, channel=st.sampled_from("abc"))
    def subscribe(self, client: Client, channel: str) -> None:
        if client not in self.members[channel]:
            self.hub.subscribe(self.hub.open_channel(channel), client.sink)
            self.members[channel].add(client)

    @rule(client=clients, channel=st.sampled_from("abc"))
    def unsubscribe(self, client: Client, channel: str) -> None:
        if client in self.members[channel]:
            self.members[channel].remove(client)
            assert self.hub.unsubscribe(channel, client.sink, deliver=True) == (not self.members[channel])

    @rule(client=consumes(clients))
    def vanish(self, client: Client) -> None:
        for channel, members in self.members.items():
            if client in members:
                members.remove(client)
                self.hub.unsubscribe(channel, client.sink, deliver=False)
        self.hub.remove_client(client)  # type: ignore[arg-type]
        self.hub.remove_client(client)  # type: ignore[arg-type]  # twice is harmless
        self.alive.remove(client)
        client.close()

    @rule(channel=st.sampled_from("abc"), count=st.integers(1, 20))
    def publish(self, channel: str, count: int) -> None:
        for _ in range(count):
            self.number += 1
            core = self.hub.channels.get(channel)
            if core is not None:
                publication = Publication(b"%d" % self.number)
                assert not self.deliverer.publish(core, publication, NO_POSITION).refused
            for client in self.members[channel]:
                client.expected.append(f"{channel} {self.number}")

    @rule()
    def turn(self) -> None:
        self.turns.turn()

    @rule()
    def settle(self) -> None:
        self.turns.run()
        assert self.drain.idle
        for client in self.alive:
            assert sorted(client.collect()) == sorted(client.expected)
            for channel in "abc":  # per channel the order is that of publishing (invariant 2)
                of_channel = [text for text in client.arrived if text.startswith(channel)]
                assert of_channel == [text for text in client.expected if text.startswith(channel)]

    @invariant()
    def counts_are_right(self) -> None:
        if not hasattr(self, "hub"):
            return
        subscribed = {name: len(members) for name, members in self.members.items() if members}
        assert dict(self.hub.subscriber_counts()) == subscribed
        assert self.hub.subscription_count == sum(subscribed.values())
        assert self.hub.user_count == len({client.user for client in self.alive})
        for user in ("", "1", "2"):
            of_user = [client for client in self.alive if client.user == user]
            assert self.hub.count_of(user) == len(of_user)
            assert set[object](self.hub.sessions_of(user)) == set(of_user)

    def teardown(self) -> None:
        if not hasattr(self, "hub"):
            return
        self.settle()
        for client in tuple(self.alive):
            self.vanish(client)
        self.turns.run()
        assert not self.hub.channels
        assert not self.hub.clients


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_client_is_found_by_its_id_only_under_its_own_user() -> None:
    turns = Turns()
    hub = Hub(Drain(turns.call_soon, 1 << 20))

    class Known:
        client = "c"
        user = "42"

    session: Any = Known()
    hub.add_client(session)
    assert hub.sessions_of("42", "c") == [session]
    assert hub.sessions_of("43", "c") == []
    assert hub.sessions_of("42", "d") == []
    assert hub.sessions_of("43") == []
