"""What channels with map and shared poll subscriptions must fulfil (server specification 1.7)."""

import itertools
from collections.abc import Iterator

from centrifast.config.rules_channel import option_sets
from centrifast.config.schema import ChannelOptions, Config
from centrifast.config.schema_channel import MapOptions

MAP_TYPES = ("map", "map_clients", "map_users")
PRESENCE_PREFIXES = ("map_clients_presence_channel_prefix", "map_users_presence_channel_prefix")

DEFAULT_STREAM_TTL = 60.0
"""Seconds changes of a map are kept when ``map.stream_ttl`` is not set."""


def check(config: Config) -> Iterator[str]:
    """Give a sentence for each rule that is broken."""
    for path, options in option_sets(config):
        problems: list[str] = []
        if options.subscription_type in MAP_TYPES:
            problems += check_map(options)
        if options.subscription_type == "shared_poll":
            problems += check_shared_poll(options, config)
        problems += check_presence_prefixes(options, config)
        yield from (f"{path}: {problem}" for problem in problems)


def check_map(options: ChannelOptions) -> Iterator[str]:
    """Rules of the three subscription types that keep a state by key."""
    found = options.map
    if not found.mode:
        yield f"map.mode must be set for subscription_type {options.subscription_type}"
    if found.mode in ("ephemeral", "recoverable") and not found.key_ttl:
        yield f"map.key_ttl must be set for map.mode {found.mode}"
    if found.mode == "persistent":
        if found.key_ttl:
            yield "map.key_ttl cannot be combined with map.mode persistent"
        if options.subscription_type != "map":
            yield f"map.mode persistent cannot be combined with subscription_type {options.subscription_type}"
    if found.mode == "ephemeral":
        for name in ("stream_size", "stream_ttl"):
            if getattr(found, name):
                yield f"map.{name} cannot be combined with map.mode ephemeral, which keeps no stream"
    if found.meta_ttl and found.meta_ttl < (found.stream_ttl or DEFAULT_STREAM_TTL):
        yield "map.meta_ttl must not be shorter than map.stream_ttl (1m when not set)"
    if found.client_key:
        for name in ("publish_proxy_enabled", "remove_proxy_enabled"):
            if getattr(found, name):
                yield f"map.client_key cannot be combined with map.{name}"
    yield from check_page_sizes(found)


def check_page_sizes(options: MapOptions) -> Iterator[str]:
    """Sizes that are set are in order."""
    names = [
        name for name in ("min_page_size", "default_page_size", "max_page_size") if getattr(options, name)
    ]
    for lower, higher in itertools.pairwise(names):
        if getattr(options, lower) > getattr(options, higher):
            yield f"map.{lower} must not be larger than map.{higher}"


def check_shared_poll(options: ChannelOptions, config: Config) -> Iterator[str]:
    """Rules of state that is polled from the backend."""
    if not config.shared_poll.hmac_secret_key:
        yield "subscription_type shared_poll needs shared_poll.hmac_secret_key"
    if options.shared_poll.publish_enabled and options.shared_poll.mode != "versioned":
        yield "shared_poll.publish_enabled needs shared_poll.mode versioned"


def check_presence_prefixes(options: ChannelOptions, config: Config) -> Iterator[str]:
    """Channels that keep presence are in a namespace that exists."""
    channel = config.channel
    for name in PRESENCE_PREFIXES:
        prefix = getattr(options, name)
        namespace, boundary, _ = prefix.removeprefix(channel.private_prefix).partition(
            channel.namespace_boundary
        )
        if prefix and not (boundary and any(found.name == namespace for found in channel.namespaces)):
            yield f"{name}: {prefix!r} does not begin with a namespace of `channel.namespaces`"
