"""The official client libraries, unmodified, against the running daemon, in both encodings."""

import jwt

from tests.sdk.conftest import SECRET, Launch, LaunchAll, StartServer, token
from tests.server_process import ServerProcess

INFO = {"name": "Ann"}


class TestConnect:
    def test_without_token_the_client_is_anonymous(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        client = launch()
        client_id = client.connect()
        client.subscribe(channel)
        client.command("publish", channel=channel, data=1)
        publication = client.wait("publication")
        assert publication["info"] == {"user": "", "client": client_id, "conn_info": None, "chan_info": None}

    def test_a_token_names_the_user(self, launch: Launch, channel: str, user: str) -> None:
        client = launch(token(sub=user, lifetime=60, info=INFO))
        client_id = client.connect()
        client.subscribe(channel)
        client.command("publish", channel=channel, data=1)
        publication = client.wait("publication")
        assert publication["info"] == {
            "user": user,
            "client": client_id,
            "conn_info": INFO,
            "chan_info": None,
        }

    def test_a_token_may_name_nobody(self, launch: Launch) -> None:
        launch(token()).connect()

    def test_a_bad_token_is_final(self, launch: Launch, user: str) -> None:
        client = launch(jwt.encode({"sub": user}, SECRET[::-1], "HS256"))
        client.command("connect")
        client.wait("disconnected", code=3500, reason="invalid token")

    def test_an_expired_token_makes_the_client_ask_for_another(self, launch: Launch, user: str) -> None:
        client = launch(token(sub=user, lifetime=-10), get_token=True)
        client.command("connect")
        client.wait("error", code=109)
        client.wait("get_token")
        client.command("token", token=token(sub=user, lifetime=60))
        client.wait("connected")

    def test_channels_of_the_token_are_subscribed(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        channels = [channel, f"history:{channel}"]
        client = launch(token(sub=user, channels=channels))
        client.connect()
        for name in channels:
            client.wait("server_subscribed", channel=name)
            server.publish(name, {"to": name})
            client.wait("server_publication", channel=name, data={"to": name}, info=None)


class TestSubscribe:
    def test_a_publication_of_the_api_arrives(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        client = launch()
        client.connect()
        client.subscribe(channel)
        data = {"text": "grüße", "list": [1, None, 2.5]}
        server.publish(channel, data)
        client.wait("publication", channel=channel, data=data, info=None)

    def test_a_client_receives_its_own_publication(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.subscribe(channel)
        client.command("publish", channel=channel, data={"n": 1})
        client.wait("result")
        client.wait("publication", channel=channel, data={"n": 1})

    def test_two_clients_talk(self, launch: Launch, channel: str) -> None:
        clients = [launch(), launch()]
        ids = [client.connect() for client in clients]
        for client in clients:
            client.subscribe(channel)
        for number, sender in enumerate(clients):
            sender.command("publish", channel=channel, data=number)
            for receiver in clients:
                publication = receiver.wait("publication", data=number)
                assert publication["info"]["client"] == ids[number]

    def test_without_permission_the_subscription_ends(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.command("subscribe", channel=f"closed:{channel}")
        client.wait("unsubscribed", channel=f"closed:{channel}", code=103, reason="permission denied")
        client.subscribe(channel)

    def test_a_token_opens_a_closed_channel(self, launch: Launch, channel: str, user: str) -> None:
        closed = f"closed:{channel}"
        client = launch(token(sub=user))
        client_id = client.connect()
        client.subscribe(closed, token=token(sub=user, channel=closed, info={"role": "op"}, lifetime=60))
        client.subscribe(channel, token=token(sub=user, channel=channel, info={"role": "guest"}))
        client.command("publish", channel=channel, data=1)
        info = client.wait("publication", channel=channel)["info"]
        assert (info["client"], info["chan_info"]) == (client_id, {"role": "guest"})

    def test_a_bad_token_ends_the_subscription_only(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.command("subscribe", channel=channel, token="not a token")
        client.wait("unsubscribed", channel=channel, code=103)
        client.subscribe(f"{channel}-other")
        assert client.connections == 1

    def test_an_unknown_namespace_ends_the_subscription(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.command("subscribe", channel=f"absent:{channel}")
        client.wait("unsubscribed", code=102, reason="unknown channel")

    def test_after_unsubscribing_nothing_arrives(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        client = launch()
        client.connect()
        client.subscribe(channel)
        client.subscribe(f"{channel}-kept")
        client.command("unsubscribe", channel=channel)
        client.wait("unsubscribed", channel=channel, code=0)
        client.command("rpc", method="any", data=None)
        client.wait("failed", code=108)  # the server has served what came before it
        server.publish(channel, "nobody")
        server.publish(f"{channel}-kept", "somebody")
        client.wait("publication", channel=f"{channel}-kept")
        client.refuse("publication")

    def test_subscriptions_made_before_connecting_become_active(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        channels = [f"{channel}-{number}" for number in range(3)]
        client = launch()
        for name in channels:
            client.command("subscribe", channel=name)
        client.connect()
        for name in channels:
            client.wait("subscribed", channel=name)
        if client.sdk.language == "javascript":  # the other one waits for the reply to connect
            assert len(client.sent[0]) == 1 + len(channels), "not all in the first frame"
        for name in channels:
            server.publish(name, name)
            client.wait("publication", channel=name, data=name)


class TestCalls:
    def test_rpc_is_not_available(self, launch: Launch) -> None:
        client = launch()
        client.connect()
        client.command("rpc", method="any", data={"n": 1})
        client.wait("failed", code=108)

    def test_publishing_without_permission_fails(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.command("publish", channel=f"closed:{channel}", data=1)
        client.wait("failed", code=103)


class TestServerApi:
    def test_broadcast_reaches_all_channels(
        self, launch: Launch, server: ServerProcess, channel: str
    ) -> None:
        channels = [f"{channel}-a", f"{channel}-b"]
        client = launch()
        client.connect()
        for name in channels:
            client.subscribe(name)
        answer = server.api("broadcast", channels=channels, data={"to": "all"})
        assert [response.get("error") for response in answer["result"]["responses"]] == [None, None]
        for name in channels:
            client.wait("publication", channel=name, data={"to": "all"})

    def test_batched_commands_work_in_their_order(
        self, launch: Launch, local_server: ServerProcess, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user), server=local_server)
        client.connect()
        commands = [
            {"subscribe": {"user": user, "channel": channel}},
            {"publish": {"channel": channel, "data": 1}},
            {"unsubscribe": {"user": user, "channel": channel}},
        ]
        replies = local_server.api("batch", commands=commands)["replies"]
        assert [list(reply) for reply in replies] == [["subscribe"], ["publish"], ["unsubscribe"]]
        client.wait("server_subscribed", channel=channel)
        client.wait("server_publication", channel=channel, data=1)
        client.wait("server_unsubscribed", channel=channel)

    def test_unsubscribe_ends_a_subscription(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user))
        client.connect()
        client.subscribe(channel)
        server.api("unsubscribe", user=user, channel=channel)
        client.wait("unsubscribed", channel=channel, code=2000, reason="server unsubscribe")

    def test_subscribe_makes_a_server_side_subscription(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user))
        client.connect()
        server.api("subscribe", user=user, channel=channel)
        client.wait("server_subscribed", channel=channel)
        server.publish(channel, [1, 2])
        client.wait("server_publication", channel=channel, data=[1, 2])

    def test_disconnect_is_final(self, launch: Launch, server: ServerProcess, user: str) -> None:
        client = launch(token(sub=user))
        client.connect()
        server.api("disconnect", user=user)
        client.wait("disconnected", code=3503, reason="force disconnect")

    def test_disconnect_with_a_code_of_the_application_lets_the_client_return(
        self, launch: Launch, server: ServerProcess, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user))
        first = client.connect()
        client.subscribe(channel)
        server.api("disconnect", user=user, disconnect={"code": 4000, "reason": "come back"})
        client.wait("connecting", code=4000, reason="come back")
        assert client.wait("connected")["client"] != first
        client.wait("subscribed", channel=channel)
        server.publish(channel, "again")
        client.wait("publication", data="again")


def test_pings_and_pongs_keep_the_connection(
    own_server: StartServer, launch_all: LaunchAll, channel: str
) -> None:
    server = own_server({"client": {"ping_interval": "1s", "pong_timeout": "900ms"}})
    clients = launch_all(server=server)
    for client in clients:
        client.connect()
        client.subscribe(channel)
    for client in clients:
        for _ in range(4):  # three intervals; that a ping follows shows that the pong before it was accepted
            client.wait("ping")
            client.wait("pong")
    server.publish(channel, "alive")
    for client in clients:
        client.wait("publication", data="alive")
        client.refuse("disconnected", "error")
        assert client.connections == 1


def test_the_client_returns_when_the_server_restarts(
    own_server: StartServer, launch_all: LaunchAll, channel: str, user: str
) -> None:
    server = own_server({})
    clients = launch_all(token(sub=user, channels=[f"{channel}-server"]), server=server)
    ids = [client.connect() for client in clients]
    for client in clients:
        client.wait("server_subscribed")
        client.subscribe(channel)
    assert server.stop() == 0
    for client in clients:
        client.wait("connecting", code=3001, reason="shutdown")
        client.wait("subscribing", channel=channel)
    server.start()
    for client, first in zip(clients, ids, strict=True):
        assert client.wait("connected")["client"] != first
        client.wait("subscribed", channel=channel)
        client.wait("server_subscribed", channel=f"{channel}-server")
    for name, event in ((channel, "publication"), (f"{channel}-server", "server_publication")):
        server.publish(name, "after")
        for client in clients:
            client.wait(event, channel=name, data="after")
