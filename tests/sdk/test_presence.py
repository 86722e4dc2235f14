"""Presence, joins and leaves as the client libraries see them (client protocol 3.7, 8.4)."""

from tests.sdk.cable import Cable
from tests.sdk.conftest import Launch, token

INFO = {"name": "Ann"}
BOTH = ("join", "leave")


class TestPresence:
    def test_a_client_sees_itself_right_after_subscribing(
        self, launch: Launch, channel: str, user: str
    ) -> None:
        people = f"people:{channel}"
        client = launch(token(sub=user, info=INFO))
        client_id = client.connect()
        client.subscribe(people)
        info = {"user": user, "client": client_id, "conn_info": INFO, "chan_info": None}
        assert client.call("presence", channel=people) == {client_id: info}
        assert client.call("presence_stats", channel=people) == {"num_clients": 1, "num_users": 1}

    def test_two_clients_of_different_users_see_each_other(
        self, launch: Launch, channel: str, user: str
    ) -> None:
        people = f"people:{channel}"
        users = [user, f"{user}-other"]
        clients = [launch(token(sub=name)) for name in users]
        ids = [client.connect() for client in clients]
        for client in clients:
            client.subscribe(people)
        for client in clients:
            present = client.call("presence", channel=people)
            assert {key: info["user"] for key, info in present.items()} == dict(zip(ids, users, strict=True))
            assert client.call("presence_stats", channel=people) == {"num_clients": 2, "num_users": 2}

    def test_two_clients_of_one_user_count_as_one_user(self, launch: Launch, channel: str, user: str) -> None:
        people = f"people:{channel}"
        clients = [launch(token(sub=user)) for _ in range(2)]
        for client in clients:
            client.connect()
            client.subscribe(people)
        assert clients[0].call("presence_stats", channel=people) == {"num_clients": 2, "num_users": 1}

    def test_nobody_is_left_after_unsubscribing(self, launch: Launch, channel: str, user: str) -> None:
        people = f"people:{channel}"
        client = launch(token(sub=user))
        client.connect()
        for _ in range(3):
            client.subscribe(people)
            assert client.call("presence_stats", channel=people)["num_clients"] == 1
            client.command("unsubscribe", channel=people)
            client.wait("unsubscribed", channel=people)
            assert client.call("presence", channel=people) == {}
            assert client.call("presence_stats", channel=people) == {"num_clients": 0, "num_users": 0}

    def test_the_info_of_a_subscription_is_shown(self, launch: Launch, channel: str, user: str) -> None:
        people = f"people:{channel}"
        client = launch(token(sub=user))
        client_id = client.connect()
        client.subscribe(people, token=token(sub=user, channel=people, info={"role": "op"}))
        assert client.call("presence", channel=people)[client_id]["chan_info"] == {"role": "op"}

    def test_it_is_for_subscribers_where_the_namespace_says_so(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.command("presence", channel=f"discreet:{channel}")
        client.wait("failed", code=103)
        client.subscribe(f"discreet:{channel}")
        assert len(client.call("presence", channel=f"discreet:{channel}")) == 1

    def test_it_may_be_off(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.subscribe(channel)
        for call in ("presence", "presence_stats"):
            client.command(call, channel=channel)
            client.wait("failed", code=108)


class TestJoinAndLeave:
    def test_a_client_sees_its_own_join_and_not_its_own_leave(self, launch: Launch, channel: str) -> None:
        people = f"people:{channel}"
        client = launch()
        client_id = client.connect()
        client.subscribe(people)
        assert client.wait("join", channel=people)["info"]["client"] == client_id
        client.command("unsubscribe", channel=people)
        client.wait("unsubscribed", channel=people)
        client.subscribe(people)  # a leave would have come before the next join
        client.wait("join", channel=people)
        client.refuse(*BOTH)

    def test_others_come_and_go(self, launch: Launch, channel: str, user: str) -> None:
        people = f"people:{channel}"
        watcher, other = launch(), launch(token(sub=user, info=INFO))
        watcher_id = watcher.connect()
        watcher.subscribe(people)
        assert watcher.wait("join", channel=people)["info"]["client"] == watcher_id
        info = {"user": user, "client": other.connect(), "conn_info": INFO, "chan_info": None}
        other.subscribe(people)
        assert watcher.wait("join", channel=people)["info"] == info
        other.command("unsubscribe", channel=people)
        assert watcher.wait("leave", channel=people)["info"] == info

    def test_a_lost_connection_leaves(self, launch: Launch, cable: Cable, channel: str) -> None:
        people = f"people:{channel}"
        watcher, other = launch(), launch(server=cable)
        watcher.connect()
        watcher.subscribe(people)
        watcher.wait("join", channel=people)
        first = other.connect()
        other.subscribe(people)
        watcher.wait("join", channel=people)
        cable.pull()
        assert watcher.wait("leave", channel=people)["info"]["client"] == first
        assert first not in watcher.call("presence", channel=people)
        cable.plug()
        second = watcher.wait("join", channel=people)["info"]["client"]
        assert second != first
        assert second in watcher.call("presence", channel=people)

    def test_they_are_told_to_those_who_want_it(self, launch: Launch, channel: str) -> None:
        discreet = f"discreet:{channel}"
        wanting, other = launch(), launch()
        wanting_id, other_id = wanting.connect(), other.connect()
        wanting.command("subscribe", channel=discreet, join_leave=True)
        wanting.wait("subscribed", channel=discreet)
        other.subscribe(discreet)
        joined = [wanting.wait("join", channel=discreet)["info"]["client"] for _ in range(2)]
        assert joined == [wanting_id, other_id]
        other.command("unsubscribe", channel=discreet)
        assert wanting.wait("leave", channel=discreet)["info"]["client"] == other_id
        other.command("rpc", method="any", data=None)
        other.wait("failed", code=108)  # what the server had for it has arrived
        other.refuse(*BOTH)
