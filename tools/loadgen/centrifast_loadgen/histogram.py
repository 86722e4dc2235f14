"""Quantiles of the latency histogram; the buckets are filled by ``_client``."""

from collections.abc import Sequence

SUB_BUCKETS = 64  # linear sub-buckets per power of two: a quantile is at most 1/64 above the true value


def bucket_limit(bucket: int) -> int:
    """Largest value, in microseconds, that falls into a bucket."""
    if bucket < 2 * SUB_BUCKETS:
        return bucket
    shift = bucket // SUB_BUCKETS - 1
    return ((bucket - shift * SUB_BUCKETS + 1) << shift) - 1


def quantile(buckets: Sequence[int], q: float) -> int:
    """The microseconds that at least a share *q* of the recorded values do not exceed; 0 when there are none.

    Never below the true quantile, and at most ``true / 64`` above it. 0 < q <= 1.
    """
    total = sum(buckets)
    if not total:
        return 0
    seen = 0
    for bucket, count in enumerate(buckets):
        seen += count
        if seen >= q * total:
            return bucket_limit(bucket)
    return bucket_limit(len(buckets) - 1)
