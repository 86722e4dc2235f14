"""Keys live five minutes, and there is room for a bounded number of them."""

from centrifast.engine.idempotency import ENTRY_BYTES, KEY_TTL, IdempotencyCache
from centrifast.model import NO_POSITION, StreamPosition


def test_position_is_kept_for_its_channel_and_key_only() -> None:
    cache = IdempotencyCache()
    position = StreamPosition(3, "epoch")
    cache.put("news", "k", position, now=0)
    assert cache.get("news", "k", now=1) == position
    assert cache.get("news", "other", now=1) is None
    assert cache.get("sport", "k", now=1) is None


def test_key_stops_counting_after_its_ttl_even_before_it_is_swept() -> None:
    cache = IdempotencyCache()
    cache.put("news", "k", NO_POSITION, now=0)
    assert cache.get("news", "k", now=KEY_TTL - 0.1) is NO_POSITION
    assert cache.get("news", "k", now=KEY_TTL) is None


def test_key_put_again_after_its_time_lives_again() -> None:
    cache = IdempotencyCache()
    cache.put("news", "k", NO_POSITION, now=0)
    cache.put("news", "other", NO_POSITION, now=10)
    cache.put("news", "k", NO_POSITION, now=KEY_TTL)
    assert len(cache) == 2
    assert cache.expire(KEY_TTL + 10, limit=10) == 1
    assert cache.get("news", "k", now=KEY_TTL + 11) is NO_POSITION


def test_expire_forgets_only_what_is_due_and_at_most_the_limit() -> None:
    cache = IdempotencyCache()
    for number in range(5):
        cache.put("news", str(number), NO_POSITION, now=number)
    assert cache.expire(KEY_TTL + 3.5, limit=3) == 3
    assert cache.expire(KEY_TTL + 3.5, limit=3) == 1
    assert cache.expire(KEY_TTL + 3.5, limit=3) == 0
    assert len(cache) == 1
    assert cache.expire(KEY_TTL + 100, limit=3) == 1
    assert cache.expire(KEY_TTL + 100, limit=3) == 0


def test_oldest_key_gives_way_when_there_are_too_many() -> None:
    cache = IdempotencyCache(max_keys=2)
    for key in "abc":
        cache.put("news", key, NO_POSITION, now=0)
    assert len(cache) == 2
    assert cache.get("news", "a", now=0) is None
    assert cache.get("news", "c", now=0) is NO_POSITION


def test_oldest_keys_give_way_when_they_are_too_big() -> None:
    cache = IdempotencyCache(max_bytes=2 * ENTRY_BYTES + 1000)
    cache.put("news", "a", NO_POSITION, now=0)
    cache.put("news", "b" * 600, NO_POSITION, now=0)
    cache.put("news", "c" * 600, NO_POSITION, now=0)
    assert cache.get("news", "a", now=0) is None
    assert cache.get("news", "b" * 600, now=0) is None
    assert cache.get("news", "c" * 600, now=0) is NO_POSITION


def test_forgotten_keys_give_their_bytes_back() -> None:
    cache = IdempotencyCache(max_bytes=2 * ENTRY_BYTES + 100)
    for number in range(100):
        now = number * KEY_TTL
        cache.expire(now, limit=10)
        cache.put("news", "k" * 10, NO_POSITION, now)
        cache.put("news", "l" * 10, NO_POSITION, now)
        assert len(cache) == 2
