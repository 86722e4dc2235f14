"""What a client is told of a subscription it has got (client protocol 2.3, 6.3)."""

from centrifast.hub import Subscription
from centrifast.protocol.codec import Codec
from centrifast.protocol.wire import SubscribeResult
from centrifast.recovered_cache import RecoveredCache
from centrifast.recovery import Recovery
from centrifast.subscriptions import Resume


def subscribe_result(
    codec: Codec,
    cache: RecoveredCache,
    channel: str,
    subscription: Subscription,
    recovery: Recovery,
    resume: Resume | None,
    *,
    was_recovering: bool,
) -> SubscribeResult:
    """The result without what the command itself knows: expiration and data."""
    delivery = subscription.delivery
    if not delivery.positioned:
        return SubscribeResult(delta=delivery.delta, was_recovering=was_recovering)
    publications = None
    if recovery.publications:
        publications = cache.encoded(codec, channel, delivery, recovery)
    offset = resume.position.offset if resume is not None and recovery.recovered else recovery.position.offset
    return SubscribeResult(
        recoverable=subscription.recoverable,
        epoch=recovery.position.epoch,
        publications=publications,
        recovered=recovery.recovered,
        offset=offset,
        positioned=True,
        was_recovering=was_recovering,
        delta=delivery.delta,
    )
