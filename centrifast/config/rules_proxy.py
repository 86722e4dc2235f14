"""What calls to the application backend must fulfil (server specification 1.7)."""

from collections.abc import Iterator
from operator import attrgetter

from centrifast.config.rules_channel import check_names, option_sets, proxy_names
from centrifast.config.schema import ChannelOptions, Config, RpcOptions
from centrifast.config.schema_proxy import ProxyConfig
from centrifast.limits import CLOSE_REASON_SIZE

DEFAULT = "default"

CHANNEL_PROXIES = {
    "subscribe": ("subscribe_proxy_enabled", "subscribe_proxy_name"),
    "publish": ("publish_proxy_enabled", "publish_proxy_name"),
    "sub_refresh": ("sub_refresh_proxy_enabled", "sub_refresh_proxy_name"),
    "subscribe_stream": ("subscribe_stream_proxy_enabled", "subscribe_stream_proxy_name"),
    "map_publish": ("map.publish_proxy_enabled", "map.publish_proxy_name"),
    "map_remove": ("map.remove_proxy_enabled", "map.remove_proxy_name"),
}
"""Kind of ``channel.proxy`` to the channel options that switch it on and name it."""


def check(config: Config) -> Iterator[str]:
    """Give a sentence for each rule that is broken."""
    yield from check_names("proxies", (proxy.name for proxy in config.proxies))
    for index, proxy in enumerate(config.proxies):
        if proxy.name == DEFAULT:
            yield f"proxies.[{index}].name: `default` stands for the proxy of each kind of event"
        yield from check_callable(f"proxies.[{index}]", proxy)
        yield from check_statuses(f"proxies.[{index}]", proxy)
    needed = set(default_proxies_in_use(config))
    for path in default_proxies():
        proxy = attrgetter(path)(config)
        if path in needed:
            yield from check_callable(path, proxy)
        yield from check_statuses(path, proxy)
    yield from check_references(config)


def default_proxies() -> Iterator[str]:
    """Give the path of every proxy that has no name of its own."""
    yield "client.proxy.connect"
    yield "client.proxy.refresh"
    for kind in (*CHANNEL_PROXIES, "shared_poll_refresh"):
        yield f"channel.proxy.{kind}"
    yield "rpc.proxy"


def default_proxies_in_use(config: Config) -> Iterator[str]:
    """Give those that must be callable; never ``rpc.proxy``, whose calls fail one by one instead."""
    for kind in ("connect", "refresh"):
        if attrgetter(f"client.proxy.{kind}.enabled")(config):
            yield f"client.proxy.{kind}"
    for _, options in option_sets(config):
        for kind, (switch, name) in CHANNEL_PROXIES.items():
            if attrgetter(switch)(options) and attrgetter(name)(options) == DEFAULT:
                yield f"channel.proxy.{kind}"
        if options.subscription_type == "shared_poll" and options.shared_poll.proxy_name in ("", DEFAULT):
            yield "channel.proxy.shared_poll_refresh"


def check_callable(path: str, proxy: ProxyConfig) -> Iterator[str]:
    """There is somebody to call, and time for it."""
    if not proxy.endpoint:
        yield f"{path}.endpoint must be set"
    if not proxy.timeout:
        yield f"{path}.timeout must not be 0"


def check_statuses(path: str, proxy: ProxyConfig) -> Iterator[str]:
    """Rows that translate statuses are complete."""
    for number, transform in enumerate(proxy.http.status_to_code_transforms):
        row = f"{path}.http.status_to_code_transforms.[{number}]"
        if not transform.status_code:
            yield f"{row}.status_code must be set"
        if bool(transform.to_error.code) == bool(transform.to_disconnect.code):
            yield f"{row}: set exactly one of to_error.code and to_disconnect.code"
        yield from check_reason(f"{row}.to_error.message", transform.to_error.message)
        yield from check_reason(f"{row}.to_disconnect.reason", transform.to_disconnect.reason)


def check_reason(path: str, text: str) -> Iterator[str]:
    """A text for a close frame fits into it."""
    if not text.isascii() or len(text) > CLOSE_REASON_SIZE:
        yield f"{path} must be ASCII, at most {CLOSE_REASON_SIZE} characters"


def check_references(config: Config) -> Iterator[str]:
    """Every ``*_proxy_name`` is that of a proxy, whether or not the proxy is switched on."""
    known = proxy_names(config)
    for path, options in option_sets(config):
        for _, name in CHANNEL_PROXIES.values():
            yield from check_reference(f"{path}: {name}", attrgetter(name)(options), known)
        yield from check_shared_poll_reference(path, options, known)
    places: list[tuple[str, RpcOptions]] = [("rpc.without_namespace", config.rpc.without_namespace)]
    places += [(f"rpc.namespaces.[{index}]", found) for index, found in enumerate(config.rpc.namespaces)]
    for path, rpc_options in places:
        yield from check_reference(f"{path}.proxy_name", rpc_options.proxy_name, known)


def check_shared_poll_reference(path: str, options: ChannelOptions, known: set[str]) -> Iterator[str]:
    """The proxy of a shared poll; no name stands for the default one."""
    if options.subscription_type == "shared_poll" and options.shared_poll.proxy_name:
        yield from check_reference(f"{path}: shared_poll.proxy_name", options.shared_poll.proxy_name, known)


def check_reference(label: str, name: str, known: set[str]) -> Iterator[str]:
    """One name is that of a proxy."""
    if name not in known:
        yield f"{label}: no proxy is called {name!r}; add it to `proxies`"
