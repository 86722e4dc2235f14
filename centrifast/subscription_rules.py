"""From the options of a namespace to what one subscription in it is (server specification 3.7, 5.2)."""

from msgspec import Struct

from centrifast.auth.claims import NO_OVERRIDE, SubscriptionOverride
from centrifast.config.schema import ChannelOptions
from centrifast.delivery import Delivery, interned
from centrifast.hub import Subscription
from centrifast.model import NO_POSITION, StreamPosition
from centrifast.protocol.tags_filter import TagsFilter
from centrifast.subscriptions import Resume

REJECT_UNRECOVERED = 2
"""Bit of ``SubscribeRequest.flag``: rather no subscription than one without recovery (client protocol 6.6)."""


class Wishes(Struct, frozen=True):
    """What a client asked for and may have."""

    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: bool = False
    filter: TagsFilter | None = None


NO_WISHES = Wishes()


def make_subscription(
    options: ChannelOptions,
    override: SubscriptionOverride = NO_OVERRIDE,
    wishes: Wishes = NO_WISHES,
    *,
    server_side: bool,
    chan_info: bytes = b"",
    expires_at: float = 0,
    from_token: bool = False,
) -> Subscription:
    """A subscription that has not been prepared. Without history there is no position to keep."""
    has_history = options.history_size > 0 and options.history_ttl > 0
    recoverable = has_history and (
        wishes.recoverable or _either(override.force_recovery, options.force_recovery)
    )
    positioned = has_history and (
        wishes.positioned or _either(override.force_positioning, options.force_positioning)
    )
    sees_join_leave = _either(override.force_push_join_leave, options.force_push_join_leave)
    return Subscription(
        server_side=server_side,
        chan_info=chan_info,
        expires_at=expires_at,
        from_token=from_token,
        delivery=interned(
            Delivery(
                positioned=positioned or recoverable,
                join_leave=wishes.join_leave or sees_join_leave,
                delta=wishes.delta and "fossil" in options.allowed_delta_types,
                filter=wishes.filter,
            )
        ),
        presence=_either(override.presence, options.presence),
        announced=_either(override.join_leave, options.join_leave),
        recoverable=recoverable,
    )


def override_of(options: ChannelOptions, override: SubscriptionOverride) -> SubscriptionOverride:
    """What *override* comes to in a namespace, with no option left open."""
    made = make_subscription(options, override, server_side=True)
    return SubscriptionOverride(
        presence=made.presence,
        join_leave=made.announced,
        force_push_join_leave=made.delivery.join_leave,
        force_recovery=made.recoverable,
        force_positioning=made.delivery.positioned,
    )


def _either(override: bool | None, option: bool) -> bool:
    return option if override is None else override


def resume_of(
    options: ChannelOptions,
    subscription: Subscription,
    position: StreamPosition | None,
    *,
    or_fail: bool = False,
) -> Resume | None:
    """Where the subscription goes on: *position* is the client's, None if it does not want to recover.

    None if nothing is recovered, because nobody asked or it can not be (client protocol 6.3, 6.7).
    """
    if not subscription.recoverable:
        return None
    newest_only = options.force_recovery_mode == "cache"
    if position is not None:
        return Resume(position, newest_only=newest_only, or_fail=or_fail and not newest_only)
    if newest_only and options.auto_cache_recover:
        return Resume(NO_POSITION, newest_only=True)
    return None
