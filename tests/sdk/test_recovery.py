"""What was missed comes when the client libraries are back (client protocol 6)."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sdk.cable import Cable
from tests.sdk.conftest import (
    SHARED_CONFIG,
    STREAM,
    Launch,
    LaunchAll,
    StartServer,
    clean_server,
    publish_all,
    token,
)
from tests.sdk.driver import SDKS, SdkClient
from tests.server_process import ServerProcess, merged

JAVASCRIPT = [sdk for sdk in SDKS if sdk.language == "javascript"]
LIMIT = 300
"""Publications that one recovery may return (``client.recovery_max_publication_limit``)."""


@pytest.fixture(scope="module")
def forgetful_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A daemon that forgets streams in which nothing happens, and soon looks whether it has."""
    namespace = {**STREAM, "name": "forgetful", "history_ttl": "1s", "history_meta_ttl": "1s"}
    changes = {"client": {"channel_position_check_delay": "2s"}, "channel": {"namespaces": [namespace]}}
    folder = tmp_path_factory.mktemp("forgetful")
    with clean_server(folder, merged(SHARED_CONFIG, changes)) as server:
        yield server


def cut_off(client: SdkClient, cable: Cable, channel: str) -> None:
    """Cut the connection and wait until the client knows."""
    cable.pull()
    client.wait("connecting")
    client.wait("subscribing", channel=channel)


class TestDroppedConnection:
    def test_everything_missed_arrives_once_and_in_order(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        stream = f"stream:{channel}"
        client = launch(server=cable)
        client.connect()
        first = client.subscribe(stream)
        assert (first["recoverable"], first["positioned"], first["was_recovering"]) == (True, True, False)
        publish_all(server, stream, range(2))
        assert client.publications(stream, 2) == [0, 1]
        for start in (2, 5):  # twice: the second recovery goes on where the first has ended
            cut_off(client, cable, stream)
            publish_all(server, stream, range(start, start + 3))
            cable.plug()
            client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
            assert client.publications(stream, 3) == [start, start + 1, start + 2]
        server.publish(stream, "live")
        assert client.publications(stream, 1) == ["live"]
        client.refuse("publication")

    def test_it_arrives_as_others_have_seen_it(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        stream = f"stream:{channel}"
        client, witness = launch(server=cable), launch()
        for each in (client, witness):
            each.connect()
            each.subscribe(stream)
        cut_off(client, cable, stream)
        publish_all(server, stream, [{"text": "grüße"}], tags={"colour": "grün"})
        witness.call("publish", channel=stream, data=[1, None, 2.5])
        live = [witness.wait("publication", channel=stream) for _ in range(2)]
        cable.plug()
        client.wait("subscribed", channel=stream, recovered=True)
        assert [client.wait("publication", channel=stream) for _ in range(2)] == live
        assert live[0]["tags"]
        assert live[1]["info"]

    def test_with_nothing_missed_it_is_recovered(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        stream = f"stream:{channel}"
        client = launch(server=cable)
        client.connect()
        client.subscribe(stream)
        cut_off(client, cable, stream)
        cable.plug()
        client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
        server.publish(stream, "live")
        assert client.publications(stream, 1) == ["live"]

    def test_as_much_as_the_limit_is_recovered(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        stream = f"stream:{channel}"
        client = launch(server=cable)
        client.connect()
        client.subscribe(stream)
        cut_off(client, cable, stream)
        publish_all(server, stream, range(LIMIT))
        cable.plug()
        client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
        assert client.publications(stream, LIMIT) == list(range(LIMIT))

    @pytest.mark.parametrize(("namespace", "missed"), [("stream", LIMIT + 1), ("short", 6)])
    def test_what_is_too_much_is_not_recovered(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str, namespace: str, missed: int
    ) -> None:
        stream = f"{namespace}:{channel}"
        client = launch(server=cable)
        client.connect()
        client.subscribe(stream)
        cut_off(client, cable, stream)
        publish_all(server, stream, range(missed))
        cable.plug()
        again = client.wait("subscribed", channel=stream, was_recovering=True, recovered=False)
        assert again["position"]["offset"] == missed
        server.publish(stream, "live")
        assert client.publications(stream, 1) == ["live"]
        client.refuse("publication")

    def test_what_is_published_meanwhile_is_neither_lost_nor_doubled(
        self, launch_all: LaunchAll, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        stream = f"stream:{channel}"
        clients = launch_all(server=cable)
        for client in clients:
            client.connect()
            client.subscribe(stream)
        cable.pull()
        publish_all(server, stream, range(50))
        cable.plug()
        publish_all(server, stream, range(50, 250))  # they come back while this goes on
        for client in clients:
            client.wait("subscribed", channel=stream, recovered=True)
            assert client.publications(stream, 250) == list(range(250))
        server.publish(stream, "live")
        for client in clients:
            assert client.publications(stream, 1) == ["live"]
            client.refuse("publication", "unsubscribed")

    @pytest.mark.parametrize(
        ("namespace", "options"),
        [
            ("stream", {}),
            ("delta", {"delta": "fossil"}),
            ("stream", {"tags_filter": {"key": "colour", "cmp": "neq", "val": "red"}}),
        ],
        ids=["plain", "delta", "filter"],
    )
    def test_nothing_is_lost_or_doubled_however_often_it_drops(
        self,
        launch_all: LaunchAll,
        server: ServerProcess,
        cable: Cable,
        channel: str,
        namespace: str,
        options: dict[str, Any],
    ) -> None:
        stream = f"{namespace}:{channel}"
        clients = launch_all(server=cable)
        for client in clients:
            client.connect()
            client.subscribe(stream, **options)
        wanted = []
        for drop in range(8):
            texts = [f"{drop}/{number}, and what all of them have in common" for number in range(20)]
            publish_all(server, stream, texts, tags={"colour": "green"})
            cable.pull()
            publish_all(server, stream, reds := [f"{drop}/red", "red"], tags={"colour": "red"})
            publish_all(server, stream, [drop], tags={"colour": "green"})
            cable.plug()
            back = clients[drop % len(clients)]  # the others may be anywhere when the next drop comes
            back.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
            wanted += [*texts, *([] if "tags_filter" in options else reds), drop]
        for client in clients:
            assert client.publications(stream, len(wanted)) == wanted
        server.publish(stream, "live")
        for client in clients:
            assert client.publications(stream, 1) == ["live"]
            client.refuse("publication", "unsubscribed")


class TestPosition:
    def test_subscribing_again_goes_on_where_it_was(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        stream = f"stream:{channel}"
        client = launch()
        client.connect()
        client.subscribe(stream)
        client.command("unsubscribe", channel=stream)
        client.wait("unsubscribed", channel=stream)
        client.command("rpc", method="any", data=None)
        client.wait("failed", code=108)  # the server has served what came before it
        publish_all(server, stream, range(3))
        assert client.subscribe(stream)["recovered"]
        assert client.publications(stream, 3) == [0, 1, 2]

    @pytest.mark.parametrize("sdk", JAVASCRIPT, ids="-".join)  # the other one has no such option
    def test_the_application_may_give_it(self, launch: Launch, server: ServerProcess, channel: str) -> None:
        stream = f"stream:{channel}"
        client = launch()
        publish_all(server, stream, range(1, 6))
        epoch = server.api("history", channel=stream)["result"]["epoch"]
        client.connect()
        event = client.subscribe(stream, since={"offset": 2, "epoch": epoch})
        assert (event["was_recovering"], event["recovered"]) == (True, True)
        assert client.publications(stream, 3) == [3, 4, 5]

    @pytest.mark.parametrize("wish", ["positioned", "recoverable"])
    def test_it_is_kept_for_who_wishes_it(self, launch: Launch, channel: str, wish: str) -> None:
        stream = f"wish:{channel}"
        client = launch()
        client.connect()
        event = client.subscribe(stream, **{wish: True})
        assert (event["positioned"], event["recoverable"]) == (True, wish == "recoverable")
        assert event["position"]["epoch"]

    def test_it_is_not_kept_without_a_wish(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        event = client.subscribe(f"wish:{channel}")
        assert (event["positioned"], event["recoverable"], event["position"]) == (False, False, None)

    def test_a_wish_is_ignored_where_nothing_allows_it(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        event = client.subscribe(f"history:{channel}", recoverable=True, positioned=True)
        assert (event["positioned"], event["recoverable"], event["position"]) == (False, False, None)


def test_a_restarted_server_has_lost_the_stream(
    own_server: StartServer, launch_all: LaunchAll, channel: str
) -> None:
    stream = f"stream:{channel}"
    server = own_server({"engine": {"type": "memory"}})
    with Cable(server.port) as cable:
        clients = launch_all(server=cable)
        for client in clients:
            client.connect()
            client.subscribe(stream)
        server.publish(stream, "before")
        for client in clients:
            assert client.publications(stream, 1) == ["before"]
        cable.pull()
        assert server.stop() == 0
        server.start()
        server.publish(stream, "meanwhile")  # has the offset that the clients know, in another epoch
        cable.plug()
        for client in clients:
            again = client.wait("subscribed", channel=stream, was_recovering=True, recovered=False)
            assert again["position"]["offset"] == 1
        server.publish(stream, "live")
        for client in clients:
            assert client.publications(stream, 1) == ["live"]
            client.refuse("publication")


class TestForgottenStream:
    """Positions are forgotten before the server looks whether subscribers still agree with them."""

    def test_subscribers_subscribe_again(
        self, forgetful_server: ServerProcess, launch_all: LaunchAll, channel: str
    ) -> None:
        stream = f"forgetful:{channel}"
        clients = launch_all(server=forgetful_server)
        for client in clients:
            client.connect()
        first = [client.subscribe(stream)["position"]["epoch"] for client in clients]
        for client, epoch in zip(clients, first, strict=True):
            client.wait("subscribing", channel=stream, code=2500, reason="insufficient state")
            again = client.wait("subscribed", channel=stream, was_recovering=True, recovered=False)
            assert again["position"]["epoch"] != epoch
            assert client.connections == 1

    def test_who_has_it_from_the_server_connects_again(
        self, forgetful_server: ServerProcess, launch_all: LaunchAll, channel: str, user: str
    ) -> None:
        stream = f"forgetful:{channel}"
        clients = launch_all(token(sub=user, channels=[stream]), server=forgetful_server)
        for client in clients:
            client.connect()
        for client in clients:
            epoch = client.wait("server_subscribed", channel=stream)["position"]["epoch"]
            client.wait("connecting", code=3010, reason="insufficient state")
            again = client.wait("server_subscribed", channel=stream, was_recovering=True, recovered=False)
            assert again["position"]["epoch"] != epoch
