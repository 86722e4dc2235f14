"""Options of channels and of RPC methods: one set of rules per namespace."""

from dataclasses import dataclass

from centrifast.config.option import Support, items, option, section
from centrifast.config.schema_proxy import ProxyConfig

DATA_FORMATS = ("", "json", "json_object", "binary")
SUBSCRIPTION_TYPES = ("", "stream", "map", "map_clients", "map_users", "shared_poll")


@dataclass(frozen=True, slots=True)
class MapOptions:
    """Channels that keep a state by key."""

    mode: str = option("", "How long state lives.", choices=("", "ephemeral", "recoverable", "persistent"))
    key_ttl: float = option(0.0, "Lifetime of a key after its last update.")
    stream_size: int = option(0, "Changes kept in the stream.")
    stream_ttl: float = option(0.0, "Time changes are kept.")
    meta_ttl: float = option(0.0, "Lifetime of offset and epoch.")
    remove_client_on_unsubscribe: bool = option(False, "Drop the client's own key when it leaves.")
    client_key: str = option("", "Key a client writes.", choices=("", "client_id", "user_id"))
    allow_publish_for_client: bool = option(False, "Authenticated clients may write.")
    allow_publish_for_subscriber: bool = option(False, "Subscribers may write.")
    allow_publish_for_anonymous: bool = option(False, "Extends the two previous to anonymous users.")
    allow_remove_for_client: bool = option(False, "Authenticated clients may remove.")
    allow_remove_for_subscriber: bool = option(False, "Subscribers may remove.")
    allow_remove_for_anonymous: bool = option(False, "Extends the two previous to anonymous users.")
    publish_proxy_enabled: bool = option(False, "Ask the backend on write.")
    publish_proxy_name: str = option("default", "Proxy asked.")
    remove_proxy_enabled: bool = option(False, "Ask the backend on removal.")
    remove_proxy_name: str = option("default", "Proxy asked.")
    default_page_size: int = option(0, "Keys in a page of state when the client names no number.")
    min_page_size: int = option(0, "Smallest page.")
    max_page_size: int = option(0, "Largest page.")
    live_transition_max_publication_limit: int = option(0, "Updates buffered while going live.")
    subscribe_catch_up_timeout: float = option(0.0, "Time limit of catching up.")


@dataclass(frozen=True, slots=True)
class SharedPollOptions:
    """Channels whose state the server polls from the backend for all subscribers."""

    proxy_name: str = option("", "Proxy that is polled.")
    refresh_interval: float = option(0.0, "Period of polls.")
    refresh_batch_size: int = option(0, "Keys in one request.")
    max_keys_per_connection: int = option(0, "Keys one connection may track.")
    mode: str = option("", "How changes are found.", choices=("", "versionless", "versioned"))
    channel_shutdown_delay: float = option(0.0, "Idle time before polling stops.")
    track_expired_extra_delay: float = option(0.0, "Grace for expired keys.")
    publish_enabled: bool = option(False, "Also accept `shared_poll_publish`.")


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What channels of one namespace do and who may do it; a namespace inherits nothing."""

    presence: bool = option(False, "Keep the list of subscribers.")
    join_leave: bool = option(False, "Produce join and leave events.")
    force_push_join_leave: bool = option(False, "Push them to every subscriber, asked or not.")
    history_size: int = option(0, "Publications kept; 0 = no history.", min=0)
    history_ttl: float = option(0.0, "Time they are kept; whole seconds.", min=0)
    history_meta_ttl: float = option(
        0.0, "Lifetime of offset and epoch instead of `channel.history_meta_ttl`; whole seconds.", min=0
    )
    force_positioning: bool = option(False, "All subscriptions know their stream position.")
    allow_positioning: bool = option(False, "Clients may ask for positioning.")
    force_recovery: bool = option(False, "All subscriptions are recoverable.")
    allow_recovery: bool = option(False, "Clients may ask for recovery.")
    force_recovery_mode: str = option(
        "",
        "`stream` (or empty) recovers all missed publications, `cache` only the latest.",
        choices=("", "stream", "cache"),
    )
    auto_cache_recover: bool = option(False, "In cache mode send the latest publication on every subscribe.")
    allowed_delta_types: tuple[str, ...] = option(
        (), "Delta algorithms a subscriber may negotiate.", choices=("fossil",)
    )
    delta_publish: bool = option(False, "Publish as if every call asked for delta.")
    allow_tags_filter: bool = option(False, "Subscribers may filter by tags.")
    allow_subscribe_for_client: bool = option(False, "Authenticated users may subscribe.")
    allow_subscribe_for_anonymous: bool = option(
        False, "Extends `allow_subscribe_for_client` to anonymous users; no effect alone."
    )
    allow_publish_for_client: bool = option(False, "Any authenticated client may publish.")
    allow_publish_for_subscriber: bool = option(False, "Subscribers may publish.")
    allow_publish_for_anonymous: bool = option(False, "Extends the two previous to anonymous users.")
    allow_presence_for_client: bool = option(False, "Any authenticated client may ask for presence.")
    allow_presence_for_subscriber: bool = option(False, "Subscribers may ask for presence.")
    allow_presence_for_anonymous: bool = option(False, "Extends the two previous to anonymous users.")
    allow_history_for_client: bool = option(False, "Any authenticated client may ask for history.")
    allow_history_for_subscriber: bool = option(False, "Subscribers may ask for history.")
    allow_history_for_anonymous: bool = option(False, "Extends the two previous to anonymous users.")
    allow_user_limited_channels: bool = option(
        False, "Ids after the user boundary (`dialog#42,567`) are the only users who may subscribe."
    )
    channel_regex: str = option("", "Pattern found in the part of the name after the namespace (RE2 syntax).")
    publication_data_format: str = option(
        "", "Data check instead of `channel.publication_data_format`.", choices=DATA_FORMATS
    )
    subscribe_proxy_enabled: bool = option(
        False, "Ask the backend before subscribing.", support=Support.REFUSED
    )
    subscribe_proxy_name: str = option("default", "Proxy asked.", support=Support.ACCEPTED)
    publish_proxy_enabled: bool = option(
        False, "Ask the backend before a client publishes.", support=Support.REFUSED
    )
    publish_proxy_name: str = option("default", "Proxy asked.", support=Support.ACCEPTED)
    sub_refresh_proxy_enabled: bool = option(
        False, "Ask the backend when a subscription expires.", support=Support.REFUSED
    )
    sub_refresh_proxy_name: str = option("default", "Proxy asked.", support=Support.ACCEPTED)
    subscribe_stream_proxy_enabled: bool = option(
        False, "The backend streams publications over gRPC.", support=Support.REFUSED
    )
    subscribe_stream_proxy_name: str = option("default", "Proxy asked.", support=Support.ACCEPTED)
    subscribe_stream_proxy_bidirectional: bool = option(
        False, "Client publications go up the same stream.", support=Support.ACCEPTED
    )
    subscription_type: str = option(
        "",
        "What a subscription is; empty = `stream`.",
        choices=SUBSCRIPTION_TYPES,
        later=SUBSCRIPTION_TYPES[2:],
    )
    map_clients_presence_channel_prefix: str = option(
        "", "Keep client presence in the map channel with this prefix.", support=Support.REFUSED
    )
    map_users_presence_channel_prefix: str = option(
        "", "Keep user presence in the map channel with this prefix.", support=Support.REFUSED
    )
    map: MapOptions = section(MapOptions, "Map subscriptions.", support=Support.ACCEPTED)
    shared_poll: SharedPollOptions = section(
        SharedPollOptions, "Shared poll subscriptions.", support=Support.ACCEPTED
    )


@dataclass(frozen=True, slots=True)
class Namespace(ChannelOptions):
    """Channel options under a name: ``name:rest``."""

    name: str = option("", "Name, the part of the channel before the namespace boundary.")


@dataclass(frozen=True, slots=True)
class ChannelProxyConfig:
    """The proxy called ``default`` for each kind of event."""

    subscribe: ProxyConfig = section(ProxyConfig, "Subscribe.")
    publish: ProxyConfig = section(ProxyConfig, "Publish.")
    sub_refresh: ProxyConfig = section(ProxyConfig, "Refresh of subscriptions.")
    subscribe_stream: ProxyConfig = section(ProxyConfig, "Streams of publications.")
    map_publish: ProxyConfig = section(ProxyConfig, "Writes to a map.")
    map_remove: ProxyConfig = section(ProxyConfig, "Removals from a map.")
    shared_poll_refresh: ProxyConfig = section(ProxyConfig, "Shared polls.")


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """Channels and their namespaces."""

    without_namespace: ChannelOptions = section(ChannelOptions, "Channels whose name has no namespace.")
    namespaces: tuple[Namespace, ...] = items(Namespace, "Channels whose name starts with a namespace.")
    history_meta_ttl: float = option(
        720 * 3600.0, "Default lifetime of offset and epoch of a stream; whole seconds.", min=0
    )
    publication_data_format: str = option("", "Default check of published data.", choices=DATA_FORMATS)
    max_length: int = option(255, "Length of a channel name in a client subscribe.", unit="bytes", min=0)
    private_prefix: str = option("$", "First character of private channels.")
    namespace_boundary: str = option(":", "Ends the namespace in a channel name.")
    user_boundary: str = option("#", "Begins the user ids in a channel name.")
    user_separator: str = option(",", "Between user ids in a channel name.")
    proxy: ChannelProxyConfig = section(
        ChannelProxyConfig, "The proxy called `default` for each kind of event.", support=Support.ACCEPTED
    )


@dataclass(frozen=True, slots=True)
class RpcOptions:
    """Where RPC calls go."""

    proxy_enabled: bool = option(False, "Ask the backend.", support=Support.REFUSED)
    proxy_name: str = option("default", "Proxy asked.", support=Support.ACCEPTED)


@dataclass(frozen=True, slots=True)
class RpcNamespace(RpcOptions):
    """RPC methods under a name: ``name:method``."""

    name: str = option("", "Name, the part of the method before the namespace boundary.")


@dataclass(frozen=True, slots=True)
class RpcPingConfig:
    """A built-in RPC method that answers with empty data."""

    enabled: bool = option(False, "Offer the method.")
    method: str = option("ping", "Its name.")


@dataclass(frozen=True, slots=True)
class RpcConfig:
    """Remote procedure calls of clients."""

    without_namespace: RpcOptions = section(RpcOptions, "Methods whose name has no namespace.")
    namespaces: tuple[RpcNamespace, ...] = items(RpcNamespace, "Methods whose name starts with a namespace.")
    namespace_boundary: str = option(":", "Ends the namespace in a method name.")
    proxy: ProxyConfig = section(ProxyConfig, "The proxy called `default`.", support=Support.ACCEPTED)
    ping: RpcPingConfig = section(RpcPingConfig, "Built-in ping method.")
