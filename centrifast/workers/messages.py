"""What a supervisor and a worker tell each other besides what the engine carries (``engine.link`` carries it).

It has a socket of its own: a worker must be heard while the engine reads from nobody.
"""

import pickle

import msgspec

from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config


class Message(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What all have in common; each kind has a tag, the first item of its array."""


# ------------------------------------------------------------------ from the supervisor


class Start(Message, frozen=True, tag=1):
    """The first one: who you are, with which configuration, and which descriptors are what.

    *loaded* is a pickled ``LoadedConfig``; *sockets* are those to accept on, with the names of their listeners;
    *ledger* is the descriptor of the node's, and the number of the worker's line in it.
    """

    version: str
    number: int
    loaded: bytes
    engine: int
    sockets: list[tuple[int, str]]
    ledger: tuple[int, int]


class Ping(Message, frozen=True, tag=2):
    """Are you there?"""


class Reconfigure(Message, frozen=True, tag=3):
    """Go over to a configuration that has been checked: a pickled ``Config``."""

    number: int
    config: bytes


class ReopenLog(Message, frozen=True, tag=4):
    """The file may have been moved away."""


# ------------------------------------------------------------------ from a worker


class Ready(Message, frozen=True, tag=11):
    """It serves. *status* says where in words, *serving* which endpoints at which host and port."""

    status: str
    serving: list[tuple[list[str], str, int]]


class NotStarted(Message, frozen=True, tag=12):
    """It can not start, and ends."""

    reason: str


class Pong(Message, frozen=True, tag=13):
    """Answer to ``Ping``, from the event loop."""


class Reconfigured(Message, frozen=True, tag=14):
    """Answer to ``Reconfigure``; no *failure*: it runs with it."""

    number: int
    failure: str


Order = Start | Ping | Reconfigure | ReopenLog
Report = Ready | NotStarted | Pong | Reconfigured

encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


def pack(configuration: LoadedConfig | Config) -> bytes:
    """Write a configuration for a process of ours."""
    return pickle.dumps(configuration)


def unpack_loaded(data: bytes) -> LoadedConfig:
    """Read what ``pack`` wrote. Raises ValueError for anything else."""
    loaded = pickle.loads(data)
    if not isinstance(loaded, LoadedConfig):
        raise ValueError("this is no configuration that was loaded")
    return loaded


def unpack_config(data: bytes) -> Config:
    """Read what ``pack`` wrote. Raises ValueError for anything else."""
    config = pickle.loads(data)
    if not isinstance(config, Config):
        raise ValueError("this is no configuration")
    return config
