"""What every PresenceManager must keep (``engine/contract.py``, engines specification 1.2, client protocol 3.7).

A presence manager joins by one more line in ``KINDS``. Time passes through ``Bench.wait``, in whole seconds
because stores count in them.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from centrifast.engine.contract import PresenceManager
from centrifast.engine.presence import MemoryPresence
from centrifast.model import ClientInfo, PresenceStats
from tests.contract.servers import Servers, emptied
from tests.engine.linked import LinkedPresence
from tests.engine.redis.shards import OwnPresence, Store, servers_of
from tests.fakes import FakeClock

TTL = 60

ANN = ClientInfo("ann", "a1", b'{"name":"Ann"}', b'{"role":"owner"}')
BOB = ClientInfo("bob", "b1")


@dataclass
class Bench:
    """A started presence manager, and a way to let time pass."""

    manager: PresenceManager
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    wait: Callable[[float], None]

    def add(self, *infos: ClientInfo, channel: str = "news") -> None:
        for info in infos:
            self.run(self.manager.add(channel, info))

    def remove(self, info: ClientInfo, channel: str = "news") -> None:
        self.run(self.manager.remove(channel, info.client, info.user))

    def presence(self, channel: str = "news") -> Mapping[str, ClientInfo]:
        result: Mapping[str, ClientInfo] = self.run(self.manager.presence(channel))
        return result

    def stats(self, channel: str = "news") -> tuple[int, int]:
        stats: PresenceStats = self.run(self.manager.stats(channel))
        return stats.num_clients, stats.num_users


Kind = Callable[[Servers], tuple[PresenceManager, Callable[[float], None]]]


def memory_presence(_: Servers) -> tuple[PresenceManager, Callable[[float], None]]:
    clock = FakeClock()
    return MemoryPresence(clock, TTL), clock.advance


def shared_presence(_: Servers) -> tuple[PresenceManager, Callable[[float], None]]:
    clock = FakeClock()
    return LinkedPresence(clock, TTL), clock.advance


def redis_presence(stores_of: Callable[[Servers], Sequence[Store]], **options: bool) -> Kind:
    def make(servers: Servers) -> tuple[PresenceManager, Callable[[float], None]]:
        clock = FakeClock()
        stores = stores_of(servers)
        manager = OwnPresence(stores, clock, ttl=TTL, **options)
        return manager, emptied(servers_of(stores), clock)

    return make


KINDS: dict[str, Kind] = {
    "memory": memory_presence,
    "shared": shared_presence,
    "redis": redis_presence(lambda servers: [servers.first]),
    "redis_mapping": redis_presence(lambda servers: [servers.first], user_mapping=True),
    "valkey": redis_presence(lambda servers: [servers.valkey], user_mapping=True),
    "valkey_field_ttl": redis_presence(lambda servers: [servers.valkey], hash_field_ttl=True),
    "redis_two_shards": redis_presence(lambda servers: [servers.first, servers.second], user_mapping=True),
    "redis_cluster": redis_presence(lambda servers: [servers.cluster], user_mapping=True),
}


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Bench]:
    manager, wait = KINDS[request.param](servers)
    with asyncio.Runner() as runner:
        runner.run(manager.start())
        yield Bench(manager, runner.run, wait)
        runner.run(manager.close())


def crowd(count: int, users: int = 1_000_000) -> list[ClientInfo]:
    return [ClientInfo(f"user{number % users}", f"client{number}") for number in range(count)]


def test_channel_nobody_is_in_is_empty(bench: Bench) -> None:
    assert bench.presence() == {}
    assert bench.stats() == (0, 0)


def test_client_that_was_added_is_in_with_everything_given(bench: Bench) -> None:
    bench.add(ANN, BOB)
    assert bench.presence() == {"a1": ANN, "b1": BOB}
    assert bench.stats() == (2, 2)


def test_channels_have_clients_of_their_own(bench: Bench) -> None:
    bench.add(ANN)
    bench.add(BOB, channel="sport")
    bench.remove(BOB)
    assert bench.presence() == {"a1": ANN}
    assert bench.presence("sport") == {"b1": BOB}


def test_client_that_was_removed_is_out(bench: Bench) -> None:
    bench.add(ANN, BOB)
    bench.remove(ANN)
    assert bench.presence() == {"b1": BOB}
    assert bench.stats() == (1, 1)
    bench.remove(BOB)
    assert bench.presence() == {}
    assert bench.stats() == (0, 0)


def test_removing_who_is_not_in_is_harmless(bench: Bench) -> None:
    bench.remove(ANN)
    bench.add(BOB)
    bench.remove(ANN)
    bench.remove(ClientInfo(BOB.user, "b2"))
    assert bench.presence() == {"b1": BOB}
    assert bench.stats() == (1, 1)


def test_client_that_was_removed_can_come_back(bench: Bench) -> None:
    bench.add(ANN)
    bench.remove(ANN)
    bench.add(ANN)
    assert bench.presence() == {"a1": ANN}
    assert bench.stats() == (1, 1)


@pytest.mark.parametrize(("clients", "users"), [(3, 1), (3, 2), (40, 1), (40, 7), (40, 40)])
def test_users_are_counted_once_however_many_clients_they_have(
    bench: Bench, clients: int, users: int
) -> None:
    infos = crowd(clients, users)
    bench.add(*infos)
    assert bench.stats() == (clients, users)
    for left in range(clients - 1, -1, -1):
        bench.remove(infos[left])
        assert bench.stats() == (left, min(left, users))


def test_all_anonymous_clients_are_one_user(bench: Bench) -> None:
    bench.add(ClientInfo("", "c1"), ClientInfo("", "c2"), ANN)
    assert bench.stats() == (3, 2)


@pytest.mark.parametrize("others", [0, 40])
def test_refresh_replaces_the_info_and_counts_nobody_twice(bench: Bench, others: int) -> None:
    bench.add(*crowd(others), ANN)
    renamed = ClientInfo("ann", "a1", b'{"name":"Anne"}')
    bench.add(renamed)
    assert bench.presence()["a1"] == renamed
    assert bench.stats() == (others + 1, others + 1)
    bench.remove(renamed)
    assert bench.stats() == (others, others)


@pytest.mark.parametrize("others", [1, 40])
def test_refresh_with_another_user_moves_the_count(bench: Bench, others: int) -> None:
    bench.add(*crowd(others), ANN)
    bench.add(ClientInfo("user0", "a1"))
    assert bench.stats() == (others + 1, others)
    bench.add(ANN)
    assert bench.stats() == (others + 1, others + 1)


@pytest.mark.parametrize("others", [0, 40])
def test_client_that_is_not_refreshed_no_longer_counts(bench: Bench, others: int) -> None:
    infos = crowd(others)
    bench.add(ANN, *infos)
    bench.wait(30)
    bench.add(*infos, BOB)
    bench.wait(29)
    assert "a1" in bench.presence()
    assert bench.stats() == (others + 2, others + 2)
    bench.wait(2)
    assert bench.presence() == {info.client: info for info in [*infos, BOB]}
    assert bench.stats() == (others + 1, others + 1)
    bench.wait(60)
    assert bench.stats() == (0, 0)
    assert bench.presence() == {}


def test_client_that_is_refreshed_stays(bench: Bench) -> None:
    bench.add(ANN)
    for _ in range(10):
        bench.wait(27)
        bench.add(ANN)
    bench.wait(59)
    assert bench.presence() == {"a1": ANN}


def test_asking_refreshes_nobody(bench: Bench) -> None:
    bench.add(ANN)
    for _ in range(3):
        bench.wait(20)
        bench.presence()
        bench.stats()
    bench.wait(1)
    assert bench.presence() == {}


def test_client_whose_time_was_over_can_come_back(bench: Bench) -> None:
    bench.add(ANN)
    bench.wait(61)
    bench.add(ANN)
    assert bench.presence() == {"a1": ANN}
    assert bench.stats() == (1, 1)


def test_later_changes_do_not_touch_an_answer(bench: Bench) -> None:
    bench.add(ANN)
    answer = bench.presence()
    bench.add(BOB, ClientInfo("ann", "a1", b'"other"'))
    bench.remove(ANN)
    bench.wait(61)
    assert bench.presence() == {}
    assert answer == {"a1": ANN}


def test_names_may_hold_anything(bench: Bench) -> None:
    info = ClientInfo("ü {:}", "client:1 {x}", b"\x00\xff", b"[]")
    channel = "chat:{a} __é " + "x" * 200
    bench.add(info, channel=channel)
    assert bench.presence(channel) == {info.client: info}
    bench.remove(info, channel)
    assert bench.stats(channel) == (0, 0)


CHANNELS = st.sampled_from(["news", "sport"])
USERS = st.sampled_from(["", "ann", "bob", "eve"])
CLIENTS = st.integers(0, 14).map("c{}".format)


class AgainstModel(RuleBasedStateMachine):
    """The manager must answer like a plain dict of (channel, client) -> (info, time of the last refresh)."""

    kind: Kind
    servers: Servers

    def __init__(self) -> None:
        super().__init__()
        manager, wait = type(self).kind(self.servers)
        self.runner = asyncio.Runner()
        self.bench = Bench(manager, self.runner.run, wait)
        self.runner.run(manager.start())
        self.model: dict[tuple[str, str], tuple[ClientInfo, int]] = {}
        self.now = 0

    @rule(channel=CHANNELS, user=USERS, client=CLIENTS, name=st.sampled_from([b"", b"1", b"2"]))
    def add(self, channel: str, user: str, client: str, name: bytes) -> None:
        info = ClientInfo(user, client, name)
        self.bench.add(info, channel=channel)
        self.model[channel, client] = (info, self.now)

    @rule(channel=CHANNELS, user=USERS, clients=st.sets(CLIENTS, min_size=6))
    def add_many(self, channel: str, user: str, clients: set[str]) -> None:
        for client in sorted(clients):
            self.add(channel, user, client, b"")

    @rule(channel=CHANNELS, user=USERS, clients=st.sets(CLIENTS, min_size=1))
    def remove(self, channel: str, user: str, clients: set[str]) -> None:
        for client in sorted(clients):
            entry = self.model.pop((channel, client), None)
            self.bench.remove(entry[0] if entry else ClientInfo(user, client), channel)

    @rule(seconds=st.integers(1, 70))
    def wait(self, seconds: int) -> None:
        self.bench.wait(seconds)
        self.now += seconds

    @rule(channel=CHANNELS)
    def look(self, channel: str) -> None:
        live = self.live(channel)
        assert self.bench.presence(channel) == live
        assert self.bench.stats(channel) == (len(live), len({info.user for info in live.values()}))

    @invariant()
    def statistics_are_right(self) -> None:
        live = self.live("news")
        assert self.bench.stats() == (len(live), len({info.user for info in live.values()}))

    def live(self, channel: str) -> dict[str, ClientInfo]:
        return {
            info.client: info
            for (name, _), (info, refreshed) in self.model.items()
            if name == channel and refreshed + TTL > self.now
        }

    def teardown(self) -> None:
        self.runner.run(self.bench.manager.close())
        self.runner.close()


@pytest.mark.parametrize("kind", KINDS)
def test_manager_against_a_plain_dict(kind: str, servers: Servers) -> None:
    class OfKind(AgainstModel):
        pass

    OfKind.kind = staticmethod(KINDS[kind])
    OfKind.servers = servers
    examples = 30 if "redis" in kind or "valkey" in kind else 100  # there each step asks a server
    run_state_machine_as_test(
        OfKind, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
