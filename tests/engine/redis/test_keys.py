"""Names are Centrifugo's in each of the three layouts (engines specification 3.1; appendix B 24)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from centrifast.engine.redis.hashing import shard_of
from centrifast.engine.redis.keys import Keys
from centrifast.errors import BAD_REQUEST, ClientError

STRANGE = ["{x}y", "{}e", "a}b{", "chat: room", "канал", "a__b", "x" * 255, "{" * 255, "a.b.c", "{a"]


def names_of(keys: Keys, channel: str) -> dict[str, bytes]:
    name = keys.name(channel)
    return {
        kind: getattr(keys, kind) + name
        for kind in ("stream", "stream_meta", "list", "list_meta", "result", "client")
    }


def presence_names_of(keys: Keys, channel: str) -> dict[str, bytes]:
    name = keys.name(channel)
    kinds = ("presence_data", "presence_expire", "presence_user_expire", "presence_user_clients")
    return {kind: getattr(keys, kind) + name for kind in kinds}


@pytest.mark.parametrize(
    ("keys", "end"),
    [
        (Keys("centrifugo"), "news"),
        (Keys("centrifugo", is_cluster=True), "{news}"),
        (Keys("centrifugo", is_cluster=True, partitions=128), "{81}.news"),
        (Keys("centrifugo", partitions=128), "news"),
    ],
)
def test_names_of_the_broker(keys: Keys, end: str) -> None:
    assert names_of(keys, "news") == {
        "stream": f"centrifugo.stream.{end}".encode(),
        "stream_meta": f"centrifugo.stream.meta.{end}".encode(),
        "list": f"centrifugo.list.{end}".encode(),
        "list_meta": f"centrifugo.list.meta.{end}".encode(),
        "result": f"centrifugo.result.{end}".encode(),
        "client": f"centrifugo.client.{end}".encode(),
    }


@pytest.mark.parametrize(("keys", "end"), [(Keys("app"), "news"), (Keys("app", is_cluster=True), "{news}")])
def test_names_of_presence(keys: Keys, end: str) -> None:
    assert presence_names_of(keys, "news") == {
        "presence_data": f"app.presence.data.{end}".encode(),
        "presence_expire": f"app.presence.expire.{end}".encode(),
        "presence_user_expire": f"app.presence.user.expire.{end}".encode(),
        "presence_user_clients": f"app.presence.user.clients.{end}".encode(),
    }


def test_names_between_nodes_are_the_same_in_every_layout() -> None:
    for keys in (Keys("app"), Keys("app", is_cluster=True), Keys("app", is_cluster=True, partitions=4)):
        assert keys.control == b"app.control"
        assert keys.node + b"id" == b"app.node.id"


def test_service_channels() -> None:
    assert Keys("app").service() == b"app.shard.0"
    assert Keys("app", is_cluster=True).service() == b"app.shard.0"
    assert Keys("app", is_cluster=True, partitions=4).service(3) == b"app.shard.0.{3}"


def test_partition_is_the_one_everybody_computes() -> None:
    assert Keys("app", is_cluster=True, partitions=128).partition("канал") == 36
    assert Keys("app", is_cluster=True).partition("канал") == 0


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(lambda text: text[0] != "}"))
def test_all_names_of_a_channel_lie_in_one_slot_of_a_cluster(channel: str) -> None:
    keys = Keys("app", is_cluster=True)
    names = [*names_of(keys, channel).values(), *presence_names_of(keys, channel).values()]
    result = keys.result + keys.name(channel) + b".{key}"
    assert len({key_slot(name) for name in (*names, result)}) == 1


@pytest.mark.parametrize("channel", [*STRANGE, "}", "}a"])
def test_all_names_of_a_partition_lie_in_one_slot_of_a_cluster(channel: str) -> None:
    keys = Keys("app", is_cluster=True, partitions=16)
    names = [*names_of(keys, channel).values(), keys.service(shard_of(channel, 16))]
    assert len({key_slot(name) for name in names}) == 1


@pytest.mark.parametrize("channel", ["}", "}a", "}{a}", ""])
def test_channel_that_would_be_spread_over_a_cluster_is_refused(channel: str) -> None:
    with pytest.raises(ClientError) as caught:
        Keys("app", is_cluster=True).name(channel)
    assert caught.value.error is BAD_REQUEST
    assert Keys("app").name(channel) == channel.encode()
