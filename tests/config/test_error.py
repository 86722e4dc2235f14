"""The one kind of error of the configuration."""

from centrifast.config.error import ConfigError


def test_the_text_is_for_the_operator() -> None:
    assert str(ConfigError("http_server.port: expected a whole number")) == (
        "http_server.port: expected a whole number"
    )
