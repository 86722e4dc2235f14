"""The one kind of error of the configuration."""

from centrifast.config.error import ConfigError


def test_the_text_is_for_the_operator() -> None:
    assert str(ConfigError("http_server.port: expected a whole number")) == (
        "http_server.port: expected a whole number"
    )


def test_it_carries_the_keys_nobody_knows() -> None:
    assert ConfigError("x").unknown == {}
    assert ConfigError("x", {"typo": 1}).unknown == {"typo": 1}
