"""May this client do this here: the order of decisions of server specification 4, as pure functions.

Every function takes the options of the channel's namespace: to have them is to have passed the first row of
each table (unknown namespace: ``ChannelRules.options_of`` raises UNKNOWN_CHANNEL). Numbers in comments are
rows of the tables. *insecure* is ``client.insecure``.
"""

from enum import Enum, auto

from centrifast.channels import ChannelRules
from centrifast.config.schema import ChannelOptions
from centrifast.errors import BAD_REQUEST, NOT_AVAILABLE, PERMISSION_DENIED, ClientError

STREAM = 0
"""``SubscribeRequest.type`` of ordinary subscriptions (client protocol 9.3)."""


class Subscribing(Enum):
    """Who has the last word about a subscription."""

    ALLOWED = auto()
    TOKEN_DECIDES = auto()
    PROXY_DECIDES = auto()
    STREAM_PROXY_DECIDES = auto()


class Publishing(Enum):
    """Who has the last word about a publication of a client."""

    ALLOWED = auto()
    PROXY_DECIDES = auto()
    STREAM_PROXY_TAKES = auto()


# ------------------------------------------------------------------ subscribe


def decide_subscribe(
    rules: ChannelRules,
    channel: str,
    options: ChannelOptions,
    user: str,
    *,
    has_token: bool,
    insecure: bool,
    subscription_type: int = STREAM,
) -> Subscribing:
    """Decide a client-side subscription (4.1). Raises ClientError BAD_REQUEST or PERMISSION_DENIED."""
    rules.check_name(options, channel)  # 2
    if subscription_type != STREAM or not _has_streams(options):  # 3: no other type exists here
        raise ClientError(PERMISSION_DENIED)
    if rules.is_private(channel) and not has_token:  # 4: before insecure
        raise ClientError(PERMISSION_DENIED)
    if has_token:  # 5
        return Subscribing.TOKEN_DECIDES
    if rules.is_user_limited(options, channel):
        allowed = rules.is_user_listed(channel, user)  # 6: neither proxies nor 9 are consulted
    elif options.subscribe_proxy_enabled:  # 7
        return Subscribing.PROXY_DECIDES
    elif options.subscribe_stream_proxy_enabled:  # 8
        return Subscribing.STREAM_PROXY_DECIDES
    else:
        allowed = _open_to(options, user)  # 9
    if allowed or insecure:  # 10
        return Subscribing.ALLOWED
    raise ClientError(PERMISSION_DENIED)  # 11


def may_have_at_connect(
    rules: ChannelRules, channel: str, options: ChannelOptions, user: str, *, insecure: bool
) -> bool:
    """Say whether a channel of ``connect.subs`` is granted (end of 4.1); others are silently left out.

    No answer of a proxy can be had at connect, so channels with one are not granted, be it of either kind.
    """
    if options.subscribe_proxy_enabled or options.subscribe_stream_proxy_enabled:
        return False
    try:
        decide_subscribe(rules, channel, options, user, has_token=False, insecure=insecure)
    except ClientError:
        return False
    return True


def may_position(options: ChannelOptions, user: str, *, insecure: bool) -> bool:
    """Say whether the client's wish ``positioned`` counts (end of 3.7)."""
    return options.allow_positioning or has_history_access(options, user, subscribed=True, insecure=insecure)


def may_recover(options: ChannelOptions, user: str, *, insecure: bool) -> bool:
    """Say whether the client's wish ``recoverable`` counts (end of 3.7)."""
    return options.allow_recovery or has_history_access(options, user, subscribed=True, insecure=insecure)


def may_see_join_leave(options: ChannelOptions, user: str, *, insecure: bool) -> bool:
    """Say whether the client's wish ``join_leave`` counts (end of 3.7)."""
    return options.join_leave and has_presence_access(options, user, subscribed=True, insecure=insecure)


# ------------------------------------------------------------------ publish


def decide_publish(
    rules: ChannelRules,
    channel: str,
    options: ChannelOptions,
    user: str,
    data: bytes,
    *,
    subscribed: bool,
    insecure: bool,
) -> Publishing:
    """Decide a publication of a client (4.2).

    Raises ClientError BAD_REQUEST, NOT_AVAILABLE or PERMISSION_DENIED.
    """
    rules.check_name(options, channel)  # 2
    if not rules.check_data(options, data):  # 3
        raise ClientError(BAD_REQUEST)
    if options.publish_proxy_enabled:  # 4
        return Publishing.PROXY_DECIDES
    if options.subscribe_stream_proxy_enabled:  # 5
        if options.subscribe_stream_proxy_bidirectional and subscribed:
            return Publishing.STREAM_PROXY_TAKES
        raise ClientError(NOT_AVAILABLE)
    if user or options.allow_publish_for_anonymous:
        if options.allow_publish_for_client:  # 6
            return Publishing.ALLOWED
        if options.allow_publish_for_subscriber and subscribed:  # 7
            return Publishing.ALLOWED
    if insecure:  # 8
        return Publishing.ALLOWED
    raise ClientError(PERMISSION_DENIED)  # 9


# ------------------------------------------------------------------ presence and history


def check_presence(
    rules: ChannelRules,
    channel: str,
    options: ChannelOptions,
    user: str,
    *,
    subscribed: bool,
    insecure: bool,
) -> None:
    """Let presence and presence stats pass (4.3).

    Raises ClientError BAD_REQUEST, NOT_AVAILABLE or PERMISSION_DENIED.
    """
    rules.check_name(options, channel)
    if not options.presence:
        raise ClientError(NOT_AVAILABLE)
    if not has_presence_access(options, user, subscribed=subscribed, insecure=insecure):
        raise ClientError(PERMISSION_DENIED)


def check_history(
    rules: ChannelRules,
    channel: str,
    options: ChannelOptions,
    user: str,
    *,
    subscribed: bool,
    insecure: bool,
) -> None:
    """Let a history request pass (4.4).

    Raises ClientError BAD_REQUEST, NOT_AVAILABLE or PERMISSION_DENIED.
    """
    rules.check_name(options, channel)
    if options.history_size <= 0 or options.history_ttl <= 0:
        raise ClientError(NOT_AVAILABLE)
    if not has_history_access(options, user, subscribed=subscribed, insecure=insecure):
        raise ClientError(PERMISSION_DENIED)


def has_presence_access(options: ChannelOptions, user: str, *, subscribed: bool, insecure: bool) -> bool:
    """Say whether presence would be shown if the channel has it."""
    if insecure:
        return True
    if not user and not options.allow_presence_for_anonymous:
        return False
    return options.allow_presence_for_client or (options.allow_presence_for_subscriber and subscribed)


def has_history_access(options: ChannelOptions, user: str, *, subscribed: bool, insecure: bool) -> bool:
    """Say whether history would be shown if the channel has it."""
    if insecure:
        return True
    if not user and not options.allow_history_for_anonymous:
        return False
    return options.allow_history_for_client or (options.allow_history_for_subscriber and subscribed)


def _has_streams(options: ChannelOptions) -> bool:
    return options.subscription_type in ("", "stream")


def _open_to(options: ChannelOptions, user: str) -> bool:
    return options.allow_subscribe_for_client and (bool(user) or options.allow_subscribe_for_anonymous)
