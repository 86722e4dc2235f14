"""The old command format: calls with an id and the name of their method, many in one body (server specification 6.7).

Old libraries for the HTTP API know nothing else. Errors stand in the reply of their command in every error mode.
"""

import asyncio
from typing import Any

import msgspec
from msgspec import DecodeError, Raw, Struct

from centrifast import errors
from centrifast.api.decoding import MalformedError, decoder_of
from centrifast.api.encoding import encode, write
from centrifast.api.messages import AnyResult, Error, Request
from centrifast.api.methods import METHODS, ApiNode, perform
from centrifast.api.turns import CALLS_AT_ONCE, run_all
from centrifast.errors import ApiErrorCode
from centrifast.protocol.surrogates import without_lone_surrogates
from centrifast.protocol.wire import NO_DATA, UInt32

NUMBERED_METHODS = (
    "publish",
    "broadcast",
    "unsubscribe",
    "disconnect",
    "presence",
    "presence_stats",
    "history",
    "history_remove",
    "channels",
    "info",
    "rpc",
    "subscribe",
    "refresh",
)
"""By their number, which may stand in place of the name."""

_NO_PARAMS = b"{}"

_split = msgspec.json.Decoder(Raw).decode_lines
_decode_method = msgspec.json.Decoder(str | int | None).decode
_decode_params = {name: decoder_of(METHODS[name][0]) for name in NUMBERED_METHODS}


class _Written(Request, frozen=True):
    """A command as it came."""

    id: UInt32 = 0
    method: Raw = NO_DATA
    params: Raw = NO_DATA


_decode_command = decoder_of(_Written)


class Command(Struct, frozen=True):
    """One call; *method* is None for a number without a method, *params* are empty when there are none."""

    id: int
    method: str | None
    params: bytes


async def answer(node: ApiNode, body: bytes) -> bytes:
    """Serve the commands of a body, one after another; their replies, a line each, in the same order.

    Raises ``MalformedError`` before anything is called.
    """
    commands = []
    for command in _pieces_of(body):
        commands.append(decode_command(bytes(command)))
        if len(commands) % CALLS_AT_ONCE == 0:
            await asyncio.sleep(0)

    async def reply_to(command: Command) -> bytes:
        outcome = await _call(node, command)
        opening = b'{"id":%d,' % command.id if command.id else b"{"
        if isinstance(outcome, ApiErrorCode):
            return b'%b"error":%b}' % (opening, encode(Error(outcome.code, outcome.message)))
        return await write(outcome, opening + b'"result":', b"}")

    return b"\n".join(await run_all(reply_to, commands, at_once=1))


def decode_command(text: bytes) -> Command:
    """Take one command. Raises ``MalformedError``, also for the name of a method that does not exist."""
    written = _decode_command(text)
    try:
        method = _decode_method(written.method) if bytes(written.method) else 0
    except DecodeError as error:
        raise MalformedError(str(error)) from None
    if isinstance(method, str):
        name: str | None = method.lower()
        if name not in NUMBERED_METHODS:
            raise MalformedError("unknown method")
    else:
        number = method or 0
        name = NUMBERED_METHODS[number] if 0 <= number < len(NUMBERED_METHODS) else None
    return Command(written.id, name, bytes(written.params))


def _pieces_of(body: bytes) -> list[Raw]:
    """The JSON values of a body, at least one; blanks or nothing between them. Raises ``MalformedError``."""
    try:
        try:
            commands = _split(body)
        except DecodeError:
            commands = _split(without_lone_surrogates(body))
    except (DecodeError, RecursionError) as error:
        raise MalformedError(str(error)) from None
    if not commands:
        raise MalformedError("no command")
    return commands


async def _call(node: ApiNode, command: Command) -> AnyResult | ApiErrorCode:
    name, params = command.method, command.params
    if name is None:
        return errors.API_NOT_FOUND
    if not params:
        if name != "info":
            return errors.API_BAD_REQUEST
        params = _NO_PARAMS
    try:
        request: Any = _decode_params[name](params)
    except MalformedError:
        return errors.API_BAD_REQUEST
    return await perform(node, name, request)
