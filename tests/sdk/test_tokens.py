"""Tokens that run out, and what the client libraries do then (client protocol 3.3, 3.4, 3.11, 3.12)."""

import jwt

from tests.sdk.conftest import SECRET, Launch, LaunchAll, token
from tests.sdk.driver import SdkClient
from tests.server_process import ServerProcess


def connect(client: SdkClient, user: str) -> None:
    """Connect with a token that lives for a moment, and so is made when the client wants it."""
    client.command("connect")
    client.wait("get_token")
    client.command("token", token=token(sub=user, lifetime=2))
    client.wait("connected")


class TestConnectionTokens:
    def test_refreshed_ones_keep_the_connection(
        self, launch_all: LaunchAll, server: ServerProcess, channel: str, user: str
    ) -> None:
        clients = launch_all(get_token=True)
        for client in clients:
            connect(client, user)
            client.subscribe(channel)
        for _ in range(3):  # the last refresh comes later than the first token's end and the grace together
            for client in clients:
                client.wait("get_token")
                client.command("token", token=token(sub=user, lifetime=2))
        for client in clients:
            client.call("publish", channel=channel, data="still here")
            client.wait("publication", data="still here")
            client.refuse("disconnected", "error")
            assert client.connections == 1

    def test_without_a_refresh_the_connection_ends_and_is_made_again(
        self, launch_all: LaunchAll, user: str
    ) -> None:
        clients = launch_all(get_token=True)
        for client in clients:
            connect(client, user)
        for client in clients:
            client.wait("get_token")  # not answered
            client.wait("connecting", code=3005, reason="connection expired")
            client.wait("error", code=109)
            client.wait("get_token")
            client.command("token", token="")  # the first one's answer comes too late
            client.command("token", token=token(sub=user, lifetime=60))
            client.wait("connected")

    def test_one_of_another_user_is_final(self, launch_all: LaunchAll, user: str) -> None:
        clients = launch_all(get_token=True)
        for client in clients:
            connect(client, user)
        for client in clients:
            client.wait("get_token")
            client.command("token", token=token(sub=f"{user}-other", lifetime=60))
            client.wait("disconnected", code=3500, reason="invalid token")

    def test_an_expired_one_ends_the_connection_which_is_made_again(
        self, launch_all: LaunchAll, user: str
    ) -> None:
        clients = launch_all(get_token=True)
        for client in clients:
            connect(client, user)
        for client in clients:
            client.wait("get_token")
            client.command("token", token=token(sub=user, lifetime=-10))
            client.wait("connecting", code=3005, reason="connection expired")
            client.wait("get_token")
            client.command("token", token=token(sub=user, lifetime=60))
            client.wait("connected")


class TestSubscriptionTokens:
    def test_a_private_channel_needs_one(self, launch: Launch, channel: str) -> None:
        client = launch()
        client.connect()
        client.command("subscribe", channel=f"${channel}")
        client.wait("unsubscribed", channel=f"${channel}", code=103, reason="permission denied")

    def test_the_application_is_asked_for_one(self, launch: Launch, channel: str, user: str) -> None:
        private = f"${channel}"
        client = launch(token(sub=user))
        client.connect()
        client.command("subscribe", channel=private, ask_token=True)
        client.wait("get_token", channel=private)
        client.command("token", token=token(sub=user, channel=private))
        client.wait("subscribed", channel=private)

    def test_it_carries_data_for_the_client(self, launch: Launch, channel: str, user: str) -> None:
        client = launch(token(sub=user))
        client.connect()
        data = {"colour": "grün"}
        event = client.subscribe(channel, token=token(sub=user, channel=channel, data=data))
        assert event["data"] == data

    def test_an_expired_one_makes_the_client_ask_for_another(
        self, launch: Launch, channel: str, user: str
    ) -> None:
        client = launch(token(sub=user))
        client.connect()
        client.command("subscribe", channel=channel, token=token(sub=user, channel=channel, lifetime=-10))
        client.wait("error", channel=channel, code=109)
        client.wait("get_token", channel=channel)
        client.command("token", token=token(sub=user, channel=channel, lifetime=60))
        client.wait("subscribed", channel=channel)

    def test_one_for_another_channel_is_final(self, launch: Launch, channel: str, user: str) -> None:
        client = launch(token(sub=user))
        client.connect()
        client.command("subscribe", channel=channel, token=token(sub=user, channel=f"{channel}-other"))
        client.wait("disconnected", code=3500, reason="invalid token")

    def test_refreshed_ones_keep_the_subscription(
        self, launch_all: LaunchAll, server: ServerProcess, channel: str, user: str
    ) -> None:
        private = f"${channel}"
        clients = launch_all(token(sub=user))
        for client in clients:
            client.connect()
            client.subscribe(private, token=token(sub=user, channel=private, lifetime=2))
        for _ in range(3):  # until after the first token's end and the grace together
            for client in clients:
                client.wait("get_token", channel=private)
                client.command("token", token=token(sub=user, channel=private, lifetime=2))
        for client in clients:
            client.command("rpc", method="any", data=None)
            client.wait("failed", code=108)  # the server has served what came before it
        server.publish(private, "still here")
        for client in clients:
            client.wait("publication", data="still here")
            client.refuse("unsubscribed", "disconnected", "error")
            assert client.connections == 1

    def test_without_a_refresh_the_subscription_ends_and_is_made_again(
        self, launch_all: LaunchAll, server: ServerProcess, channel: str, user: str
    ) -> None:
        private = f"${channel}"
        clients = launch_all(token(sub=user))
        for client in clients:
            client.connect()
            client.subscribe(private, token=token(sub=user, channel=private, lifetime=2))
        for client in clients:
            client.wait("get_token", channel=private)  # not answered
            client.wait("subscribing", channel=private, code=2501, reason="subscription expired")
            client.wait("error", channel=private, code=109)
            client.wait("get_token", channel=private)
            client.command("token", token="")  # the first one's answer comes too late
            client.command("token", token=token(sub=user, channel=private, lifetime=60))
            client.wait("subscribed", channel=private)
        server.publish(private, "again")
        for client in clients:
            client.wait("publication", data="again")
            assert client.connections == 1

    def test_a_bad_one_at_a_refresh_is_final(self, launch_all: LaunchAll, channel: str, user: str) -> None:
        clients = launch_all(token(sub=user))
        for client in clients:
            client.connect()
            client.subscribe(channel, token=token(sub=user, channel=channel, lifetime=2))
        bad = jwt.encode({"sub": user, "channel": channel}, SECRET[::-1], "HS256")
        for client in clients:
            client.wait("get_token", channel=channel)
            client.command("token", token=bad)
            client.wait("disconnected", code=3500, reason="invalid token")


class TestUserLimitedChannels:
    def test_a_user_in_the_name_may_subscribe(self, launch: Launch, server: ServerProcess, user: str) -> None:
        dialog = f"dialog:talk#{user},{user}-other"
        clients = [launch(token(sub=name)) for name in (user, f"{user}-other")]
        for client in clients:
            client.connect()
            client.subscribe(dialog)
        server.publish(dialog, "between us")
        for client in clients:
            client.wait("publication", channel=dialog, data="between us")

    def test_another_user_may_not(self, launch: Launch, user: str) -> None:
        client = launch(token(sub=f"{user}-third"))
        client.connect()
        client.command("subscribe", channel=f"dialog:talk#{user},{user}-other")
        client.wait("unsubscribed", code=103, reason="permission denied")
