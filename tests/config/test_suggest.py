"""What was probably meant by what nobody knows."""

import pytest

from centrifast.config.suggest import (
    advice_on,
    advice_on_variable,
    explain_key,
    explain_variable,
    old_keys_below,
)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("channel.namespaces.[0].presense", "channel.namespaces.[0].presence"),
        ("client.allowd_origins", "client.allowed_origins"),
        ("hmac_secret_key", "client.token.hmac_secret_key"),
        ("client.token.secret", "client.token.hmac_secret_key"),
        ("http_sever.port", "http_server.port"),
        ("graphit.port", "graphite.port"),
        ("chanel.namespaces.[0].presence", "channel.namespaces[].presence"),
        ("http_api.api_key", "http_api.key"),
        ("redis.address", "engine.redis.address"),
        ("engine.redis.addr", "engine.redis.address"),
        ("client_channel_limit", "client.channel_limit"),
        ("websocket.ping_interval", "client.ping_interval"),
        ("prometheus.enable", "prometheus.enabled"),
        ("channels", "channel"),
        ("proxies.[1].endpont", "proxies.[1].endpoint"),
    ],
)
def test_a_key_comes_with_what_was_meant(key: str, meant: str) -> None:
    assert advice_on(key) == f"did you mean `{meant}`?"


@pytest.mark.parametrize("key", ["zzzzqqqq", "cors", "license", "enabled", "client.enabled", "port_number"])
def test_a_key_like_no_other_comes_alone(key: str) -> None:
    assert explain_key(key) == f"`{key}`"


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("publish", "use `channel.without_namespace.allow_publish_for_client`"),
        ("channel.namespaces.[3].anonymous", "use `channel.namespaces.[3].allow_subscribe_for_anonymous`"),
        ("namespaces.[3].history_lifetime", "use `channel.namespaces.[3].history_ttl`"),
        ("presence", "use `channel.without_namespace.presence`"),
        ("api_key", "use `http_api.key`"),
        ("redis_sentinel_tls_root_ca", "use `engine.redis.sentinel_tls.server_ca_pem`"),
        ("consumers.[0].disabled", "use `enabled`: a consumer is off unless it is switched on"),
        ("sockjs", "SockJS is gone; use `http_stream.enabled` and `sse.enabled`"),
    ],
)
def test_an_option_of_an_older_version_comes_with_its_successor(key: str, advice: str) -> None:
    assert advice_on(key) == f"an option of an older version; {advice}"
    assert explain_key(key) == f"`{key}` (an option of an older version; {advice})"


def test_a_list_that_has_moved_is_looked_into() -> None:
    items = [{"name": "chat", "presence": True}, {"name": "news", "recover": True, "anonymous": True}]
    assert list(old_keys_below("namespaces", items)) == ["namespaces.[1].recover", "namespaces.[1].anonymous"]
    assert list(old_keys_below("namespaces", "chat")) == []
    assert list(old_keys_below("namespaces", ["chat"])) == []
    assert list(old_keys_below("other", items)) == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("CENTRIFUGO_CLIENT_ALOWED_ORIGINS", "did you mean `CENTRIFUGO_CLIENT_ALLOWED_ORIGINS`?"),
        (
            "CENTRIFAST_TOKEN_HMAC_SECRET_KEY",
            "an option of an older version; use `CENTRIFAST_CLIENT_TOKEN_HMAC_SECRET_KEY`",
        ),
        ("CENTRIFUGO_ENGINE", "an option of an older version; use `CENTRIFUGO_ENGINE_TYPE`"),
        (
            "CENTRIFUGO_RECOVER",
            "an option of an older version; use `CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_FORCE_RECOVERY`",
        ),
        (
            "CENTRIFUGO_PRESENCE",
            "an option of an older version; use `CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_PRESENCE`",
        ),
        ("CENTRIFUGO_WATCH", "an option of an older version; it is gone without a replacement"),
        ("CENTRIFAST_QQQQZZZZ", ""),
    ],
)
def test_a_variable_comes_with_advice(name: str, advice: str) -> None:
    assert advice_on_variable(name) == advice
    assert explain_variable(name) == (f"`{name}` ({advice})" if advice else f"`{name}`")


def test_variables_of_items_are_known() -> None:
    known = {"CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE", "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE"}
    advice = advice_on_variable("CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENSE", known)
    assert advice == "did you mean `CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE`?"
