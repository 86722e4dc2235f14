"""State that the application loads itself, and channels of which only the newest value counts (6.6, 6.7)."""

from tests.sdk.cable import Cable
from tests.sdk.conftest import Launch, publish_all
from tests.server_process import ServerProcess


class TestGetState:
    def test_the_subscription_goes_on_where_the_state_ends(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        stream = f"stream:{channel}"
        publish_all(server, stream, range(1, 6))
        epoch = server.api("history", channel=stream)["result"]["epoch"]
        client = launch()
        client.connect()
        client.command("subscribe", channel=stream, ask_state=True)
        client.wait("get_state")
        client.command("state", offset=3, epoch=epoch)
        client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
        assert client.publications(stream, 2) == [4, 5]

    def test_a_state_that_is_too_old_is_loaded_again(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        stream = f"short:{channel}"
        publish_all(server, stream, range(1, 11))
        epoch = server.api("history", channel=stream)["result"]["epoch"]
        client = launch()
        client.connect()
        client.command("subscribe", channel=stream, ask_state=True)
        for position in ({"offset": 2, "epoch": epoch}, {"offset": 9, "epoch": "other"}):
            client.wait("get_state")
            client.command("state", **position)  # answered by error 112
        client.wait("get_state")
        client.command("state", offset=9, epoch=epoch)
        client.wait("subscribed", channel=stream, was_recovering=True, recovered=True)
        assert client.publications(stream, 1) == [10]
        client.refuse("unsubscribed", "subscribed", "error")

    def test_after_too_long_an_absence_it_is_loaded_again(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        stream = f"short:{channel}"
        server.publish(stream, 1)
        epoch = server.api("history", channel=stream)["result"]["epoch"]
        client = launch(server=cable)
        client.connect()
        client.command("subscribe", channel=stream, ask_state=True)
        client.wait("get_state")
        client.command("state", offset=1, epoch=epoch)
        client.wait("subscribed", channel=stream, recovered=True)
        for missed, is_loaded in ((range(2, 4), False), (range(4, 10), True)):
            cable.pull()
            client.wait("subscribing", channel=stream)
            publish_all(server, stream, missed)
            cable.plug()
            if is_loaded:
                client.wait("get_state")
                client.command("state", offset=9, epoch=epoch)
            client.wait("subscribed", channel=stream, recovered=True)
            if not is_loaded:
                assert client.publications(stream, 2) == [2, 3]
        server.publish(stream, 10)
        assert client.publications(stream, 1) == [10]
        client.refuse("publication", "unsubscribed", "get_state")


class TestCache:
    def test_the_newest_comes_with_the_subscription(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        publish_all(server, f"auto_cache:{channel}", range(3))
        client = launch()
        client.connect()
        event = client.subscribe(f"auto_cache:{channel}")
        assert (event["was_recovering"], event["recovered"]) == (True, True)
        assert client.publications(f"auto_cache:{channel}", 1) == [2]
        server.publish(f"auto_cache:{channel}", "live")
        assert client.publications(f"auto_cache:{channel}", 1) == ["live"]
        client.refuse("publication")

    def test_an_empty_channel_has_nothing_to_recover(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        client = launch()
        client.connect()
        event = client.subscribe(f"auto_cache:{channel}")
        assert (event["was_recovering"], event["recovered"]) == (True, False)
        server.publish(f"auto_cache:{channel}", "live")
        assert client.publications(f"auto_cache:{channel}", 1) == ["live"]

    def test_after_an_absence_only_the_newest_comes(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        cache = f"cache:{channel}"
        client = launch(server=cable)
        client.connect()
        server.publish(cache, "before")
        assert not client.subscribe(cache)["was_recovering"]
        cable.pull()
        client.wait("subscribing", channel=cache)
        publish_all(server, cache, range(5))
        cable.plug()
        client.wait("subscribed", channel=cache, was_recovering=True, recovered=True)
        server.publish(cache, "live")
        assert client.publications(cache, 2) == [4, "live"]
        client.refuse("publication")

    def test_who_has_the_newest_gets_nothing(
        self, launch: Launch, server: ServerProcess, cable: Cable, channel: str
    ) -> None:
        cache = f"cache:{channel}"
        client = launch(server=cable)
        client.connect()
        client.subscribe(cache)
        server.publish(cache, 1)
        assert client.publications(cache, 1) == [1]
        cable.pull()
        client.wait("subscribing", channel=cache)
        cable.plug()
        client.wait("subscribed", channel=cache, was_recovering=True, recovered=True)
        server.publish(cache, 2)
        assert client.publications(cache, 1) == [2]
        client.refuse("publication")
