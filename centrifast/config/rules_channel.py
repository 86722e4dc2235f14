"""What channel and RPC options must fulfil together (server specification 1.7)."""

import re
from collections.abc import Iterable, Iterator

from centrifast.config.regex import compile_pattern
from centrifast.config.schema import ChannelOptions, Config

NAME = re.compile(r"[-a-zA-Z0-9_.]{2,}", re.ASCII)
WHOLE_SECONDS = ("history_ttl", "history_meta_ttl")
PROXIES_EXCLUDED_BY_STREAM = (
    "subscribe_proxy_enabled",
    "publish_proxy_enabled",
    "sub_refresh_proxy_enabled",
)


def check(config: Config) -> Iterator[str]:
    """Give a sentence for each rule that is broken."""
    channel = config.channel
    if not channel.history_meta_ttl.is_integer():
        yield "channel.history_meta_ttl must be whole seconds"
    yield from check_names("channel.namespaces", (namespace.name for namespace in channel.namespaces))
    yield from check_names("rpc.namespaces", (namespace.name for namespace in config.rpc.namespaces))
    for path, options in option_sets(config):
        problems = check_options(options, config.channel.history_meta_ttl)
        yield from (f"{path}: {problem}" for problem in problems)
    yield from check_personal_channel(config)


def option_sets(config: Config) -> Iterator[tuple[str, ChannelOptions]]:
    """Give the channel options of every namespace, and of channels without one, with their place."""
    yield "channel.without_namespace", config.channel.without_namespace
    for index, namespace in enumerate(config.channel.namespaces):
        yield f"channel.namespaces.[{index}] ({namespace.name})", namespace


def check_names(path: str, names: Iterable[str]) -> Iterator[str]:
    """Names of a list are well formed and differ."""
    seen = set()
    for index, name in enumerate(names):
        if not NAME.fullmatch(name):
            yield (
                f"{path}.[{index}].name: {name!r} is not valid; "
                "use two or more letters, digits, hyphens, underscores, dots"
            )
        if name in seen:
            yield f"{path}.[{index}].name: {name!r} is used twice; names must be unique"
        seen.add(name)


def check_options(options: ChannelOptions, default_meta_ttl: float) -> Iterator[str]:
    """Rules inside one set of channel options."""
    yield from check_history(options, default_meta_ttl)
    if options.channel_regex:
        try:
            compile_pattern(options.channel_regex)
        except ValueError as error:
            yield f"channel_regex: {error}"
    if options.subscribe_stream_proxy_enabled:
        for name in PROXIES_EXCLUDED_BY_STREAM:
            if getattr(options, name):
                yield f"{name} cannot be combined with subscribe_stream_proxy_enabled"


def check_history(options: ChannelOptions, default_meta_ttl: float) -> Iterator[str]:
    """Rules about history and what builds on it."""
    if (options.history_size > 0) != (options.history_ttl > 0):
        yield "history_size and history_ttl must be set together"
    for name in WHOLE_SECONDS:
        if not getattr(options, name).is_integer():
            yield f"{name} must be whole seconds"
    if options.history_ttl > (options.history_meta_ttl or default_meta_ttl):
        yield "history_ttl must not be longer than history_meta_ttl (channel.history_meta_ttl when not set)"
    if options.force_recovery and not options.history_size:
        yield "force_recovery needs history_size and history_ttl"
    if options.auto_cache_recover and not (options.force_recovery and options.force_recovery_mode == "cache"):
        yield "auto_cache_recover needs force_recovery and force_recovery_mode cache"


def proxy_names(config: Config) -> set[str]:
    """Return the names a ``*_proxy_name`` may have."""
    return {"default", *(proxy.name for proxy in config.proxies)}


def check_personal_channel(config: Config) -> Iterator[str]:
    """The namespace of personal channels exists, with presence where one connection is enforced."""
    personal = config.client.subscribe_to_user_personal_channel
    if not personal.enabled:
        return
    path = "client.subscribe_to_user_personal_channel"
    options: ChannelOptions | None = config.channel.without_namespace
    if personal.personal_channel_namespace:
        options = next(
            (
                found
                for found in config.channel.namespaces
                if found.name == personal.personal_channel_namespace
            ),
            None,
        )
    if options is None:
        yield (
            f"{path}.personal_channel_namespace: no namespace is called "
            f"{personal.personal_channel_namespace!r}; add it to `channel.namespaces`"
        )
    elif personal.single_connection and not options.presence:
        yield f"{path}.single_connection needs presence in the namespace of the personal channel"
