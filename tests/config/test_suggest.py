"""What was probably meant by what nobody knows."""

import pytest

from centrifast.config.option import walk
from centrifast.config.schema import Config
from centrifast.config.suggest import OLD_CHANNEL_KEYS, OLD_KEYS, explain_key, explain_variable


@pytest.mark.parametrize(
    ("key", "explanation"),
    [
        ("channel.namespaces.[0].presense", "did you mean `presence`?"),
        ("client.allowd_origins", "did you mean `allowed_origins`?"),
        ("hmac_secret_key", "did you mean `client.token.hmac_secret_key`?"),
        ("http_sever.port", "did you mean `http_server.port`?"),
        ("publish", "use `channel.without_namespace.allow_publish_for_client`"),
        ("channel.namespaces.[3].anonymous", "use `channel.namespaces.[3].allow_subscribe_for_anonymous`"),
        ("api_key", "use `http_api.key`"),
    ],
)
def test_a_key_comes_with_advice(key: str, explanation: str) -> None:
    assert explain_key(key).startswith(f"`{key}` (")
    assert explanation in explain_key(key)


def test_a_key_like_no_other_comes_alone() -> None:
    assert explain_key("zzzzqqqq") == "`zzzzqqqq`"


def test_every_option_advised_exists() -> None:
    paths = {path for path, _ in walk(Config)}
    assert set(OLD_KEYS.values()) <= paths
    assert {f"channel.without_namespace.{name}" for name in OLD_CHANNEL_KEYS.values()} <= paths


def test_a_variable_comes_with_advice() -> None:
    assert (
        explain_variable("CENTRIFUGO_CLIENT_ALOWED_ORIGINS")
        == "`CENTRIFUGO_CLIENT_ALOWED_ORIGINS` (did you mean `CENTRIFUGO_CLIENT_ALLOWED_ORIGINS`?)"
    )
    assert explain_variable("CENTRIFAST_QQQQZZZZ") == "`CENTRIFAST_QQQQZZZZ`"
