"""What a client is told of a subscription it has got (client protocol 2.3, 6.3)."""

from centrifast.errors import INAPPROPRIATE_PROTOCOL, Disconnect
from centrifast.hub import Subscription
from centrifast.protocol.codec import Codec, NotJsonError
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
    """The result without what the command itself knows: expiration and data.

    Raises Disconnect 3506 for a JSON client that has missed something that is no JSON (client protocol 2.4).
    """
    delivery = subscription.delivery
    if not delivery.positioned:
        return SubscribeResult(delta=delivery.delta, was_recovering=was_recovering)
    publications = None
    if recovery.publications:
        try:
            publications = cache.encoded(codec, channel, delivery, recovery)
        except NotJsonError as binary:
            raise Disconnect(INAPPROPRIATE_PROTOCOL) from binary
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
