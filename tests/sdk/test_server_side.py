"""Subscriptions that the server makes, as the client libraries see them (client protocol 8)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.cable import Cable
from tests.sdk.conftest import OPEN, SHARED_CONFIG, Launch, clean_server, publish_all, token
from tests.sdk.driver import SdkClient
from tests.server_process import ServerProcess, merged


def come_back_after(
    client: SdkClient, cable: Cable, server: ServerProcess, channel: str, missed: list[int]
) -> None:
    """Lose the connection, miss something, come back."""
    cable.pull()
    client.wait("connecting")
    publish_all(server, channel, missed)
    cable.plug()
    client.wait("connected")


class TestToken:
    def test_a_channel_may_come_with_info_and_data(self, launch: Launch, channel: str, user: str) -> None:
        people = f"people:{channel}"
        subs = {people: {"info": {"role": "op"}, "data": {"colour": "grün"}}}
        client = launch(token(sub=user, subs=subs))
        client_id = client.connect()
        assert client.wait("server_subscribed", channel=people)["data"] == {"colour": "grün"}
        info = {"user": user, "client": client_id, "conn_info": None, "chan_info": {"role": "op"}}
        assert client.wait("server_join", channel=people)["info"] == info
        assert client.call("presence", channel=people) == {client_id: info}

    def test_others_come_and_go(self, launch: Launch, channel: str, user: str) -> None:
        people = f"people:{channel}"
        watcher, other = launch(token(sub=user, channels=[people])), launch()
        watcher.connect()
        watcher.wait("server_join", channel=people)
        other_id = other.connect()
        other.subscribe(people)
        assert watcher.wait("server_join", channel=people)["info"]["client"] == other_id
        other.command("unsubscribe", channel=people)
        assert watcher.wait("server_leave", channel=people)["info"]["client"] == other_id

    def test_a_channel_may_be_closed_to_clients(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user, channels=[f"closed:{channel}"]))
        client.connect()
        client.wait("server_subscribed", channel=f"closed:{channel}", recoverable=False)
        server.publish(f"closed:{channel}", 1)
        client.wait("server_publication", channel=f"closed:{channel}", data=1)

    def test_an_override_makes_it_recoverable(self, launch: Launch, channel: str, user: str) -> None:
        subs = {f"wish:{channel}": {"override": {"force_recovery": {"value": True}}}}
        client = launch(token(sub=user, subs=subs))
        client.connect()
        client.wait("server_subscribed", channel=f"wish:{channel}", recoverable=True, positioned=True)

    def test_an_unknown_namespace_is_final(self, launch: Launch, channel: str, user: str) -> None:
        client = launch(token(sub=user, channels=[f"absent:{channel}"]))
        client.command("connect")
        client.wait("disconnected", code=102, reason="unknown channel")

    def test_a_client_can_not_subscribe_to_what_the_server_gave_it(
        self, launch: Launch, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user, channels=[channel]))
        client.connect()
        client.command("subscribe", channel=channel)
        client.wait("unsubscribed", channel=channel, code=105)


class TestRecovery:
    def test_what_was_missed_arrives_after_reconnecting(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str, user: str
    ) -> None:
        stream = f"stream:{channel}"
        client = launch(token(sub=user, channels=[stream]), server=cable)
        client.connect()
        client.wait("server_subscribed", channel=stream, recoverable=True, was_recovering=False)
        server.publish(stream, 0)
        assert client.publications(stream, 1, "server_publication") == [0]
        come_back_after(client, cable, server, stream, [1, 2, 3])
        client.wait("server_subscribed", channel=stream, was_recovering=True, recovered=True)
        server.publish(stream, 4)
        assert client.publications(stream, 4, "server_publication") == [1, 2, 3, 4]
        client.refuse("server_publication", "server_unsubscribed")

    def test_what_is_too_much_is_not_recovered(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str, user: str
    ) -> None:
        stream = f"short:{channel}"
        client = launch(token(sub=user, channels=[stream]), server=cable)
        client.connect()
        client.wait("server_subscribed", channel=stream)
        come_back_after(client, cable, server, stream, list(range(6)))
        again = client.wait("server_subscribed", channel=stream, was_recovering=True, recovered=False)
        assert again["position"]["offset"] == 6
        server.publish(stream, "live")
        assert client.publications(stream, 1, "server_publication") == ["live"]

    def test_one_made_by_the_api_comes_back_where_the_client_may_subscribe(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str, user: str
    ) -> None:
        stream = f"stream:{channel}"
        client = launch(token(sub=user), server=cable)
        client.connect()
        server.api("subscribe", user=user, channel=stream)
        client.wait("server_subscribed", channel=stream, recoverable=True)
        come_back_after(client, cable, server, stream, [1, 2])
        client.wait("server_subscribed", channel=stream, was_recovering=True, recovered=True)
        assert client.publications(stream, 2, "server_publication") == [1, 2]

    def test_one_made_by_the_api_ends_where_the_client_may_not_subscribe(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str, user: str
    ) -> None:
        closed = f"closed:{channel}"
        client = launch(token(sub=user), server=cable)
        client.connect()
        server.api("subscribe", user=user, channel=closed)
        client.wait("server_subscribed", channel=closed)
        cable.pull()
        client.wait("connecting")
        cable.plug()
        client.wait("connected")
        client.wait("server_unsubscribed", channel=closed)


class TestApi:
    def test_subscribe_gives_data_and_info(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        people = f"people:{channel}"
        client = launch(token(sub=user))
        client_id = client.connect()
        server.api("subscribe", user=user, channel=people, info={"role": "op"}, data={"n": 1})
        assert client.wait("server_subscribed", channel=people)["data"] == {"n": 1}
        joined = client.wait("server_join", channel=people)["info"]
        assert (joined["client"], joined["chan_info"]) == (client_id, {"role": "op"})

    def test_subscribe_reaches_every_connection_of_the_user(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        clients = [launch(token(sub=user)) for _ in range(2)]
        for client in clients:
            client.connect()
        server.api("subscribe", user=user, channel=channel)
        server.publish(channel, 1)
        for client in clients:
            client.wait("server_subscribed", channel=channel)
            client.wait("server_publication", channel=channel, data=1)

    def test_subscribe_may_name_one_connection(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        chosen, other = launch(token(sub=user)), launch(token(sub=user))
        chosen_id, _ = chosen.connect(), other.connect()
        server.api("subscribe", user=user, client=chosen_id, channel=channel)
        chosen.wait("server_subscribed", channel=channel)
        other.command("rpc", method="any", data=None)
        other.wait("failed", code=108)  # what the server had for it has arrived
        other.refuse("server_subscribed")

    def test_unsubscribe_ends_it(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user, channels=[channel, f"{channel}-kept"]))
        client.connect()
        server.api("unsubscribe", user=user, channel=channel)
        client.wait("server_unsubscribed", channel=channel)
        server.publish(channel, "nobody")
        server.publish(f"{channel}-kept", "somebody")
        client.wait("server_publication", channel=f"{channel}-kept")
        client.refuse("server_publication")

    def test_refresh_may_end_the_connection(self, launch: Launch, server: ServerProcess, user: str) -> None:
        client = launch(token(sub=user))
        first = client.connect()
        server.api("refresh", user=user, expired=True)
        client.wait("connecting", code=3005, reason="connection expired")
        assert client.wait("connected")["client"] != first

    def test_refresh_may_give_more_time(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user, lifetime=60))
        client.connect()
        client.subscribe(channel)
        server.api("refresh", user=user, expire_at=int(time.time()) + 600)
        server.publish(channel, 1)
        client.wait("publication", data=1)  # behind the refresh push, which no library minds
        client.refuse("disconnected", "error")
        assert client.connections == 1

    def test_disconnect_may_spare_a_connection(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        spared, other = launch(token(sub=user)), launch(token(sub=user))
        spared_id, _ = spared.connect(), other.connect()
        spared.subscribe(channel)
        server.api("disconnect", user=user, whitelist=[spared_id])
        other.wait("disconnected", code=3503)
        server.publish(channel, 1)
        spared.wait("publication", data=1)
        spared.refuse("disconnected")


@pytest.fixture(scope="module")
def personal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A daemon that subscribes every user to a channel of its own."""
    namespace = {
        **OPEN,
        "name": "personal",
        "presence": True,
        "join_leave": True,
        "force_push_join_leave": True,
        "allow_publish_for_subscriber": True,
    }
    changes = {
        "client": {
            "subscribe_to_user_personal_channel": {
                "enabled": True,
                "personal_channel_namespace": "personal",
            }
        },
        "channel": {"namespaces": [namespace]},
    }
    folder: Path = tmp_path_factory.mktemp("personal")
    with clean_server(folder, merged(SHARED_CONFIG, changes)) as server:
        yield server


class TestPersonalChannel:
    def test_its_own_join_follows(self, launch: Launch, personal_server: ServerProcess, user: str) -> None:
        client = launch(token(sub=user), server=personal_server)
        client_id = client.connect()
        client.wait("server_subscribed", channel=f"personal:#{user}")
        assert client.wait("server_join", channel=f"personal:#{user}")["info"]["client"] == client_id

    def test_its_user_may_publish_into_it(
        self, launch: Launch, personal_server: ServerProcess, user: str
    ) -> None:
        clients = [launch(token(sub=user), server=personal_server) for _ in range(2)]
        for client in clients:
            client.connect()
        clients[0].call("publish", channel=f"personal:#{user}", data="to my other tab")
        for client in clients:
            client.wait("server_publication", channel=f"personal:#{user}", data="to my other tab")

    def test_nobody_has_none(self, launch: Launch, personal_server: ServerProcess) -> None:
        client = launch(server=personal_server)
        client.connect()
        client.command("rpc", method="any", data=None)
        client.wait("failed", code=108)  # what the server had for it has arrived
        client.refuse("server_subscribed")
