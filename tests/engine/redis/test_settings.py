"""What addresses and options of Redis mean."""

import time

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.option import Pem
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.config.schema_tls import TlsConfig
from centrifast.engine.redis.settings import (
    Kind,
    Login,
    Place,
    ShardSettings,
    client_tls_context,
    read_shards,
    shards_of,
)
from tests.auth.signing import RSA, private_pem_of
from tests.doctor.certificates import DAY, make_certificate

TLS = TlsConfig(enabled=True)


def shards(**options: object) -> list[ShardSettings]:
    return shards_of(RedisConnectionConfig(**options), "engine.redis")  # type: ignore[arg-type]


def only(address: str, **options: object) -> ShardSettings:
    (shard,) = shards(address=(address,), **options)
    return shard


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("a", Place("a", 6379)),
        ("a:1", Place("a", 1)),
        (" a:1 ", Place("a", 1)),
        (":1", Place("127.0.0.1", 1)),
        ("[::1]:1", Place("::1", 1)),
        ("[::1]", Place("::1", 6379)),
        ("redis://a", Place("a", 6379)),
        ("redis://u:p@[::1]:1/2", Place("::1", 1)),
        ("redis://", Place("127.0.0.1", 6379)),
        ("rediss://a:1", Place("a", 1)),
        ("tcp://a:1", Place("a", 1)),
        ("unix:///run/redis.sock", Place("", 0, "/run/redis.sock")),
    ],
)
def test_one_server_is_named_in_many_ways(address: str, place: Place) -> None:
    shard = only(address)
    assert (shard.kind, shard.places) == (Kind.SERVER, (place,))


def test_each_address_is_a_shard() -> None:
    assert [shard.name for shard in shards(address=("a", "redis://b:1/3"))] == ["a:6379", "b:1/3"]


def test_clusters_come_before_sentinels_before_addresses() -> None:
    cluster, other = shards(
        cluster_address=("a:1, b:2", "redis://c"),
        sentinel_address=("s",),
        sentinel_master_name="m",
        address=("x",),
    )
    assert cluster == ShardSettings(Kind.CLUSTER, (Place("a", 1), Place("b", 2)), master_name="m")
    assert (other.kind, other.places) == (Kind.CLUSTER, (Place("c", 6379),))
    first, second = shards(sentinel_address=("s,t:1", "u"), sentinel_master_name="m", address=("x",))
    assert (first.kind, first.places) == (Kind.SENTINEL, (Place("s", 26379), Place("t", 1)))
    assert (second.places, second.master_name) == ((Place("u", 26379),), "m")


def test_a_url_says_what_it_leads_to() -> None:
    shard = only("redis+sentinel://a:1?addr=b&addr=c:3&sentinel_master_name=m")
    assert (shard.kind, shard.master_name) == (Kind.SENTINEL, "m")
    assert shard.places == (Place("a", 1), Place("b", 26379), Place("c", 3))
    shard = only("rediss+cluster://a:1,b?addr=c")
    assert (shard.kind, shard.login.tls.enabled) == (Kind.CLUSTER, True)
    assert shard.places == (Place("a", 1), Place("b", 6379), Place("c", 6379))


def test_users_and_passwords_of_an_address_fill_what_options_leave_empty() -> None:
    assert only("redis://u:p%40@a").login == Login("u", "p@")
    assert only("redis://:p,@a").login == Login("", "p,")
    assert only("redis://u:p@a", user="U", password="P", client_name="n").login == Login("U", "P", "n")
    shard = only("redis+sentinel://u:p@a?sentinel_user=U&sentinel_password=P&sentinel_master_name=m")
    assert (shard.login, shard.sentinel) == (Login("u", "p"), Login("U", "P"))
    (shard,) = shards(
        sentinel_address=("a",),
        sentinel_master_name="m",
        sentinel_user="U",
        sentinel_password="P",
        sentinel_client_name="n",
    )
    assert shard.sentinel == Login("U", "P", "n")
    (shard,) = shards(cluster_address=("u:p@a,u:p@b",))
    assert (shard.login, shard.places) == (Login("u", "p"), (Place("a", 6379), Place("b", 6379)))


def test_parameters_of_an_address_come_before_options() -> None:
    shard = only(
        "redis://a/2?connect_timeout=2s&io_timeout=3s&force_resp2=true&x=1", connect_timeout=9.0, db=1
    )
    assert (shard.connect_timeout, shard.io_timeout, shard.resp2, shard.db) == (2.0, 3.0, True, 2)
    shard = only("a", connect_timeout=9.0, io_timeout=8.0, force_resp2=True, db=1)
    assert (shard.connect_timeout, shard.io_timeout, shard.resp2, shard.db) == (9.0, 8.0, True, 1)
    assert only("a", connect_timeout=0.0, io_timeout=0.0).io_timeout == 4.0


def test_tls_keeps_what_the_section_says_of_it() -> None:
    named = TlsConfig(server_name="x")
    assert only("a", tls=TLS).login.tls == TLS
    assert not only("redis://a", tls=named).login.tls.enabled
    assert only("rediss://a", tls=named).login.tls == TlsConfig(enabled=True, server_name="x")
    assert only("redis://a?tls_enabled=1").login.tls == TLS
    assert not only("redis://a?tls_enabled=false", tls=TLS).login.tls.enabled
    shard = only("redis+sentinel://a?sentinel_tls_enabled=true&sentinel_master_name=m")
    assert (shard.login.tls.enabled, shard.sentinel.tls.enabled) == (False, True)
    shard = only("rediss+sentinel://a?sentinel_tls_enabled=false&sentinel_master_name=m")
    assert (shard.login.tls.enabled, shard.sentinel.tls.enabled) == (True, False)


def test_the_name_holds_no_secret() -> None:
    assert only("redis://user:secret@a:1/2").name == "a:1/2"
    assert only("redis+sentinel://user:secret@a?sentinel_master_name=m").name == "m@a:26379"
    assert only("redis://[::1]").name == "[::1]:6379"
    assert only("unix:///run/redis.sock").name == "/run/redis.sock"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"address": ("mysql://u:secret@a",)}, "address: an address begins with mysql://"),
        ({"address": ("redis+x://a",)}, "address: an address begins with redis"),
        ({"address": ("a:b:c:secret",)}, "address: an address is not host:port"),
        ({"address": ("redis://[secret",)}, "address: an address is no URL"),
        ({"address": ("a/secret",)}, "address: an address is not host:port"),
        ({"address": ("redis://a/x",)}, "address: an address ends in a path that is no database"),
        ({"address": ("redis://a?io_timeout=x",)}, "address: an address has an unusable io_timeout: "),
        ({"cluster_address": ("a:b",)}, "cluster_address: an address is not host:port"),
        ({"cluster_address": (",".join("a" * 65),)}, "cluster_address: an address names 65 servers"),
        ({"sentinel_address": ("a",)}, "sentinel_master_name: Sentinel is asked for"),
        ({"address": ("redis+sentinel://a",)}, "sentinel_master_name: Sentinel is asked for"),
        ({"tls": TlsConfig(enabled=True, cert_pem=Pem("x"))}, "tls can not be used: cert_pem and key_pem"),
        ({"tls": TlsConfig(enabled=True, server_ca_pem=Pem("x"))}, "tls can not be used: "),
        (
            {"sentinel_tls": TlsConfig(enabled=True, cert_pem=Pem("x"), key_pem=Pem("x"))},
            "sentinel_tls can not be used: ",
        ),
    ],
)
def test_an_error_names_the_option_and_shows_no_secret(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        shards(**options)
    assert str(raised.value).startswith(f"engine.redis.{told}")
    assert "secret" not in str(raised.value)


def test_certificates_are_only_looked_at_where_tls_is_on() -> None:
    broken = TlsConfig(server_ca_pem=Pem("x"))
    assert shards(tls=broken)[0].login.tls == broken
    assert read_shards(RedisConnectionConfig(tls=TlsConfig(enabled=True, server_ca_pem=Pem("x"))))


def test_a_context_of_tls_is_as_configured() -> None:
    certificate = Pem(make_certificate(RSA, time.time() - DAY, time.time() + DAY))
    own = TlsConfig(server_ca_pem=certificate, cert_pem=certificate, key_pem=Pem(private_pem_of(RSA)))
    context = client_tls_context(own)
    assert (context.check_hostname, context.cert_store_stats()["x509"]) == (True, 1)
    assert not client_tls_context(TlsConfig(insecure_skip_verify=True)).check_hostname
