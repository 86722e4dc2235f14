"""Rules that are looked at only when the server is built (server specification 1.7, marked *start*).

``checkconfig`` lets a file pass that breaks one of them, as Centrifugo does, and says what will happen.
"""

from collections.abc import Iterator

from centrifast.config.rules_token import check_token
from centrifast.config.schema import Config


def check(config: Config) -> Iterator[str]:
    """Give a sentence for each rule that is broken."""
    yield from check_choice("engine.type", config.engine.type, ("memory", "redis"))
    yield from check_choice("http_api.error_mode", config.http_api.error_mode, ("", "transport"))
    if config.grpc_api.enabled:
        yield from check_choice("grpc_api.error_mode", config.grpc_api.error_mode, ("", "transport"))
    if config.broker.enabled and config.broker.type == "redisnats" and not config.enable_unreleased_features:
        yield "broker.type redisnats needs enable_unreleased_features"
    yield from check_token("client.token", config.client.token)
    yield from check_token("client.subscription_token", config.client.subscription_token)
    yield from check_pings(config)


def check_choice(path: str, word: str, choices: tuple[str, ...]) -> Iterator[str]:
    """A word is one of those that mean something."""
    if word not in choices:
        allowed = ", ".join(choice or '""' for choice in choices)
        yield f"{path}: {word!r} is not valid; use one of {allowed}"


def check_pings(config: Config) -> Iterator[str]:
    """A pong must be due before the next ping; only when there are both."""
    client = config.client
    if client.ping_interval == 0:
        yield 'client.ping_interval must not be 0; write "-1s" for no pings'
    if 0 < client.ping_interval <= client.pong_timeout:
        yield "client.ping_interval must be greater than client.pong_timeout"
