"""From a section of the configuration to the shards that it names (engines specification 3.8 to 3.10).

A shard is given by the entries of ``cluster_address``, else of ``sentinel_address``, else of ``address``; each entry is
one shard, and commas inside one separate its seeds. ``host:port`` or a URL. What an address says of user and password
counts where the option is empty; its query parameters count before the options of the same name, which have defaults.
"""

import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import parse_qs, unquote, urlsplit

from centrifast.config.convert import parse_bool
from centrifast.config.duration import parse_duration
from centrifast.config.error import ConfigError
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.config.schema_tls import TlsConfig
from centrifast.limits import REDIS_SEEDS

REDIS_PORT, SENTINEL_PORT = 6379, 26379

CONNECT_TIMEOUT, IO_TIMEOUT = 1.0, 4.0
"""Seconds, where the configuration has no positive number (engines specification 3.7)."""

_SCHEMES = ("redis", "rediss", "tcp")
_DIGITS = 9
"""Digits of a database number that are read."""

_SHOWN = 30
"""Characters of a scheme that an error shows; the rest of an address may hold a password and is never shown."""


class Kind(Enum):
    """What the addresses of a shard lead to; a ``SERVER`` may turn out to be a member of a cluster."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens; *path* is that of a Unix socket and empty for TCP."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """How one introduces oneself. Never show user or password."""

    user: str = ""
    password: str = ""
    client_name: str = ""
    tls: TlsConfig = TlsConfig()


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """One shard; times in seconds."""

    kind: Kind
    places: tuple[Place, ...]
    """The server itself; or Sentinels; or members of a cluster."""

    login: Login = Login()
    db: int = 0
    connect_timeout: float = CONNECT_TIMEOUT
    io_timeout: float = IO_TIMEOUT
    resp2: bool = False
    master_name: str = ""
    sentinel: Login = Login()
    """Towards Sentinels."""

    @property
    def name(self) -> str:
        """Where it is, for people: without user and password."""
        text = ",".join(map(str, self.places))
        if self.kind is Kind.SENTINEL:
            return f"{self.master_name}@{text}"
        return f"{text}/{self.db}" if self.db else text


class AddressError(ValueError):
    """An address can not be used; *option* is the one it stands in. The text does not show the address."""

    def __init__(self, option: str, text: str) -> None:
        super().__init__(text)
        self.option = option


def shards_of(section: RedisConnectionConfig, path: str) -> list[ShardSettings]:
    """Return the shards of the section at *path*. Raises ``ConfigError`` that names the option."""
    try:
        shards = read_shards(section)
    except AddressError as error:
        raise ConfigError(f"{path}.{error.option}: {error}") from None
    for shard in shards:
        for option, login in (("tls", shard.login), ("sentinel_tls", shard.sentinel)):
            if login.tls.enabled:
                try:
                    client_tls_context(login.tls)
                except (ssl.SSLError, ValueError) as error:
                    raise ConfigError(f"{path}.{option} can not be used: {error}") from error
    return shards


def read_shards(section: RedisConnectionConfig) -> list[ShardSettings]:
    """The same without a look at certificates. Raises ``AddressError``."""
    if section.cluster_address:
        option, kind, entries = "cluster_address", Kind.CLUSTER, section.cluster_address
    elif section.sentinel_address:
        option, kind, entries = "sentinel_address", Kind.SENTINEL, section.sentinel_address
    else:
        option, kind, entries = "address", Kind.SERVER, section.address
    base = _base_of(section)
    found = []
    for entry in entries:
        try:
            shard = _shard_of(entry, kind, base)
        except ValueError as error:
            raise AddressError(option, str(error)) from None
        if shard.kind is Kind.SENTINEL and not shard.master_name:
            raise AddressError(
                "sentinel_master_name", "Sentinel is asked for a master by its name; it is empty"
            )
        found.append(shard)
    return found


def client_tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """A client's context: TLS 1.2 or newer. Raises ``ssl.SSLError`` or ValueError for what can not be read."""
    context = ssl.create_default_context(cadata=str(tls.server_ca_pem) or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if bool(tls.cert_pem) != bool(tls.key_pem):
        raise ValueError("cert_pem and key_pem go together")
    if tls.cert_pem:
        # ssl reads a chain from a file only; this one is readable by its owner alone and gone at once.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:
            chain.write(f"{tls.key_pem}\n{tls.cert_pem}\n")
            chain.flush()
            context.load_cert_chain(chain.name, password=lambda: "")
    return context


# ---------------------------------------------------------------------- reading


def _base_of(section: RedisConnectionConfig) -> ShardSettings:
    """What the options say, before an address adds to it."""
    return ShardSettings(
        Kind.SERVER,
        (),
        Login(section.user, section.password, section.client_name, section.tls),
        section.db,
        section.connect_timeout if section.connect_timeout > 0 else CONNECT_TIMEOUT,
        section.io_timeout if section.io_timeout > 0 else IO_TIMEOUT,
        section.force_resp2,
        section.sentinel_master_name,
        Login(
            section.sentinel_user,
            section.sentinel_password,
            section.sentinel_client_name,
            section.sentinel_tls,
        ),
    )


def _shard_of(entry: str, kind: Kind, base: ShardSettings) -> ShardSettings:
    """Read one entry. A list of seeds is cut at its commas first, where it is no URL of its own."""
    seeds = [entry] if kind is Kind.SERVER else entry.split(",")
    base = replace(base, kind=kind)
    shard = _with_url(base, seeds[0].strip()) if "://" in seeds[0] else _with_seeds(base, seeds[0])
    for seed in seeds[1:]:
        shard = _with_seeds(shard, seed.rpartition("://")[2])
    if len(shard.places) > REDIS_SEEDS:
        raise ValueError(f"an address names {len(shard.places)} servers; {REDIS_SEEDS} of them are enough")
    return shard


def _with_url(shard: ShardSettings, url: str) -> ShardSettings:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("an address is no URL that can be read") from None
    query = parse_qs(parts.query)
    if parts.scheme == "unix":
        return _with_query(replace(shard, places=(Place("", 0, parts.path),)), query)
    scheme, _, suffix = parts.scheme.partition("+")
    if scheme not in _SCHEMES or suffix not in ("", "sentinel", "cluster"):
        raise ValueError(f"an address begins with {parts.scheme[:_SHOWN]}://, which no Redis has")
    if suffix:
        shard = replace(shard, kind=Kind(suffix))
    if scheme == "rediss":
        query = {"tls_enabled": ["true"], "sentinel_tls_enabled": ["true"], **query}
    database = parts.path.strip("/")
    if database:
        if not database.isdecimal() or len(database) > _DIGITS:
            raise ValueError("an address ends in a path that is no database number")
        shard = replace(shard, db=int(database))
    return _with_query(_with_seeds(shard, parts.netloc, *query.get("addr", ())), query)


def _with_seeds(shard: ShardSettings, *texts: str) -> ShardSettings:
    """Add ``[user:password@]host[:port]``, several with commas between them."""
    places = list(shard.places)
    login = shard.login
    for text in texts:
        account, _, hosts = text.strip().rpartition("@")
        user, _, password = account.partition(":")
        login = replace(login, user=login.user or unquote(user), password=login.password or unquote(password))
        places += (_place_of(host.strip(), shard.kind) for host in hosts.split(","))
    return replace(shard, places=tuple(places), login=login)


def _place_of(text: str, kind: Kind) -> Place:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port  # raises for what is no port
    except ValueError:
        raise ValueError("an address is not host:port") from None
    if parts.path or parts.query or parts.fragment:
        raise ValueError("an address is not host:port")
    if port is None:
        port = SENTINEL_PORT if kind is Kind.SENTINEL else REDIS_PORT
    return Place(parts.hostname or "127.0.0.1", port)


def _with_query(shard: ShardSettings, query: Mapping[str, list[str]]) -> ShardSettings:
    """Add the parameters of a URL; those that are not known say nothing, as upstream."""
    for name, read in _PARAMETERS.items():
        if name in query:
            try:
                shard = read(shard, query[name][-1])
            except ValueError as error:
                raise ValueError(f"an address has an unusable {name}: {error}") from None
    return shard


def _with_tls(login: Login, text: str) -> Login:
    """Switch TLS on or off; what else the section says about it stays."""
    return replace(login, tls=replace(login.tls, enabled=parse_bool(text)))


_PARAMETERS: Mapping[str, Callable[[ShardSettings, str], ShardSettings]] = {
    "connect_timeout": lambda shard, text: replace(
        shard, connect_timeout=parse_duration(text) or CONNECT_TIMEOUT
    ),
    "io_timeout": lambda shard, text: replace(shard, io_timeout=parse_duration(text) or IO_TIMEOUT),
    "tls_enabled": lambda shard, text: replace(shard, login=_with_tls(shard.login, text)),
    "force_resp2": lambda shard, text: replace(shard, resp2=parse_bool(text)),
    "sentinel_user": lambda shard, text: replace(
        shard, sentinel=replace(shard.sentinel, user=shard.sentinel.user or text)
    ),
    "sentinel_password": lambda shard, text: replace(
        shard, sentinel=replace(shard.sentinel, password=shard.sentinel.password or text)
    ),
    "sentinel_tls_enabled": lambda shard, text: replace(shard, sentinel=_with_tls(shard.sentinel, text)),
    "sentinel_master_name": lambda shard, text: replace(shard, master_name=shard.master_name or text),
}
