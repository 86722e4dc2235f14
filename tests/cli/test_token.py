"""What the token commands share."""

import pytest

from centrifast.cli.token import expiration_text, make_token, payload_text, subscription_settings, user_text
from centrifast.config.schema import TokenConfig
from tests.config.building import config_of

SETTINGS = TokenConfig(hmac_secret_key="a secret of more than thirty-two bytes")


def test_subscription_tokens_have_settings_of_their_own_when_enabled() -> None:
    keys = {"client.token.hmac_secret_key": "a", "client.subscription_token.hmac_secret_key": "b"}
    assert subscription_settings(config_of(keys).client).hmac_secret_key == "a"
    enabled = config_of({**keys, "client.subscription_token.enabled": True}).client
    assert subscription_settings(enabled).hmac_secret_key == "b"


def test_sentences_name_user_and_lifetime() -> None:
    assert user_text("42") == 'user "42"'
    assert user_text("") == "anonymous user"
    assert expiration_text(604800) == "with expiration TTL 168h0m0s"
    assert expiration_text(0) == "with expiration TTL 0s"
    assert expiration_text(-1) == "without expiration"


def test_claims_are_in_the_order_backends_print_them() -> None:
    text = payload_text(make_token(SETTINGS, "42", 60, {"channel": "c"}))
    assert text.startswith('{"sub":"42","channel":"c","exp":')
    assert '"iat":' in text


def test_no_lifetime_sets_no_end() -> None:
    assert '"exp"' not in payload_text(make_token(SETTINGS, "", 0, {}))
    assert '"sub"' not in payload_text(make_token(SETTINGS, "", 0, {}))


def test_without_a_key_there_is_no_token(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_token(TokenConfig(), "42", 60, {})
    assert capsys.readouterr().out == "error: no HMAC secret key set\n"
