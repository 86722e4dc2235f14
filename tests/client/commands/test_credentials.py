"""Tokens through the eyes of commands: each place has its own answer to a token that is refused (5.4, 5.5)."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from centrifast import errors
from centrifast.auth.claims import ConnectionClaims, InvalidTokenError, SubscriptionClaims, TokenExpiredError
from centrifast.client.commands.credentials import connection_claims, mismatch, subscription_claims
from centrifast.client.state import Closed
from centrifast.errors import ClientError, Disconnect
from tests.client.fakes import NOW, Far, Server, done, settle, token

EXPIRED = ClientError(errors.TOKEN_EXPIRED)
REFUSED = ClientError(errors.PERMISSION_DENIED)


def failure(request: Coroutine[Any, Any, Any]) -> ClientError | Disconnect:
    with pytest.raises((ClientError, Disconnect)) as raised:
        done(request)
    error = raised.value
    assert isinstance(error, ClientError | Disconnect)
    return error


def disconnected(error: ClientError | Disconnect) -> errors.DisconnectCode:
    assert isinstance(error, Disconnect)
    return error.disconnect


# ------------------------------------------------------------------ connection tokens


def test_a_connection_token_is_read(server: Server) -> None:
    claims = done(connection_claims(server.open().session, token(sub="42", info=1), expired=EXPIRED))
    assert isinstance(claims, ConnectionClaims)
    assert (claims.user, claims.info) == ("42", b"1")


@pytest.mark.parametrize("text", ["x", token(sub="42", channel="news"), token(sub="42") + "x"])
def test_a_connection_token_that_is_none_disconnects(server: Server, text: str) -> None:
    refused = failure(connection_claims(server.open().session, text, expired=EXPIRED))
    assert disconnected(refused) == errors.INVALID_TOKEN
    assert isinstance(refused.__cause__, InvalidTokenError)


@pytest.mark.parametrize("expired", [EXPIRED, Disconnect(errors.CONNECTION_EXPIRED)])
def test_the_caller_says_what_an_expired_connection_token_costs(
    server: Server, expired: ClientError | Disconnect
) -> None:
    refused = failure(connection_claims(server.open().session, token(exp=NOW), expired=expired))
    assert refused is expired
    assert isinstance(refused.__cause__, TokenExpiredError)


# ------------------------------------------------------------------ subscription tokens


def read(client: Far, text: str, channel: str = "news") -> Coroutine[Any, Any, SubscriptionClaims]:
    return subscription_claims(client.session, text, channel, invalid=REFUSED)


@pytest.mark.parametrize("channel", ["news", ""])
def test_a_subscription_token_is_read(server: Server, channel: str) -> None:
    client = server.connect(sub="42")
    claims = done(read(client, token(sub="42", channel="news", info=1), channel))
    assert (claims.channel, claims.info) == ("news", b"1")


@pytest.mark.parametrize("text", ["x", token(sub="42")])
def test_the_caller_says_what_a_subscription_token_that_is_none_costs(server: Server, text: str) -> None:
    assert failure(read(server.connect(sub="42"), text)) is REFUSED


def test_an_expired_subscription_token_is_answered(server: Server) -> None:
    expired = token(sub="42", channel="news", exp=NOW)
    refused = failure(read(server.connect(sub="42"), expired))
    assert isinstance(refused, ClientError)
    assert refused.error == errors.TOKEN_EXPIRED


def test_a_token_for_somebody_else_disconnects(server: Server) -> None:
    refused = failure(read(server.connect(sub="42"), token(sub="43", channel="news")))
    assert disconnected(refused) == errors.INVALID_TOKEN


def test_no_refusal_shows_the_token(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for text in (token(sub="43", channel="news"), token(sub="42", channel="news", exp=NOW), "x.y.z"):
        failure(read(server.connect(sub="42"), text))
        assert caplog.records
        assert text not in caplog.text


@pytest.mark.parametrize(
    ("claims", "channel", "problem"),
    [
        (SubscriptionClaims("42", "news"), "news", ""),
        (SubscriptionClaims("42", "news"), "", ""),
        (SubscriptionClaims("42", "other"), "news", "the token is for another channel"),
        (SubscriptionClaims("43", "news"), "news", "the token is for another user"),
        (SubscriptionClaims("", "news"), "news", "the token is for another user"),
        (SubscriptionClaims("42", "news", client="x"), "news", "the token is for another client"),
    ],
)
def test_what_does_not_fit_is_said_in_words(
    server: Server, claims: SubscriptionClaims, channel: str, problem: str
) -> None:
    assert mismatch(claims, server.connect(sub="42").session, channel) == problem


def test_a_token_for_this_very_client_fits(server: Server) -> None:
    client = server.connect(sub="42")
    claims = SubscriptionClaims("42", "news", client=client.id)
    assert mismatch(claims, client.session, "news") == ""


# ------------------------------------------------------------------ keys that must be fetched


class SlowVerifier:
    """Both contracts of ``TokenVerifier``; answers when the test says so."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def verify_connection(self, token: str) -> ConnectionClaims:
        await self.gate.wait()
        return ConnectionClaims("42")

    async def verify_subscription(self, token: str) -> SubscriptionClaims:
        await self.gate.wait()
        return SubscriptionClaims("42", "news")


@pytest.mark.parametrize("kind", ["connection", "subscription"])
def test_who_goes_while_a_key_is_fetched_is_not_served(kind: str) -> None:
    async def test() -> None:
        server, verifier = Server(), SlowVerifier()
        server.node.tokens = server.node.subscription_tokens = verifier  # type: ignore[assignment]
        client = server.open()
        if kind == "connection":
            request: Coroutine[Any, Any, Any] = connection_claims(client.session, "x", expired=EXPIRED)
        else:
            request = read(client, "x")
        reading = asyncio.create_task(request)
        await settle()
        client.session.on_closed()
        verifier.gate.set()
        with pytest.raises(Closed):
            await reading
        server.close()

    asyncio.run(test())
