"""Talks to a WebSocket endpoint as a program, as a browser, and as one that stays, and notes what happens."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from centrifast.doctor.clock import Skew, skew_of
from centrifast.doctor.wire import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Answer,
    ProbeError,
    Target,
    Wire,
    accept_of,
    connect,
    get,
    head_of,
    new_key,
)

TIMEOUT = 5.0
"""Seconds for each step that should be answered at once."""

PING_GRACE = 5.0
"""Seconds that a ping may be late."""

LONGEST_WAIT = 120.0
"""Seconds that a ping is waited for at most, whatever period the server says."""

LONGEST_PERIOD = 86_400.0
"""Seconds; what a server says beyond it is no period."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Handshake:
    """What came of a request to upgrade; *error* is empty if anything was answered."""

    error: str = ""
    answer: Answer | None = None
    accepted: bool = False
    """Whether the answer is a correct 101."""


@dataclass(frozen=True, slots=True)
class Stay:
    """What came of staying connected. Times in seconds after the connect; None = it did not happen."""

    pong: bool = False
    """Whether a ping frame came back: frames pass in both directions."""
    refusal: str = ""
    """Why the connect command was refused; empty if it was not."""
    period: float = 0.0
    """Seconds between pings, as the server says; 0 = it sends none."""
    pinged_after: float | None = None
    closed_after: float | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """How fast the first bytes of a streaming transport came; None = not within ``TIMEOUT``."""

    transport: str
    error: str = ""
    status: int = 0
    first_byte_after: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """All that was seen of an endpoint."""

    target: Target
    origin: str
    plain: Handshake
    browser: Handshake = Handshake()
    stay: Stay | None = None
    streams: tuple[Stream, ...] = ()
    certificate: bytes = b""
    tls_error: str = ""
    skew: Skew | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to look: *origin* of the page, *token* to connect with, and streaming transports by path."""

    origin: str = ""
    token: str = ""
    streams: Mapping[str, Target] | None = None


def probe(target: Target, wanted: Wanted, progress: Progress) -> EndpointFacts:
    """Look at an endpoint. Takes a ping period and some seconds at most."""
    origin = wanted.origin or target.origin
    progress(f"opening a WebSocket to {target.authority}")
    began = time.time()
    tls_error, verify = "", True
    wire, plain = upgrade(target, {}, verify=True)
    if target.tls and wire is None and plain.error.startswith("TLS failed: the certificate"):
        tls_error, verify = plain.error, False
        wire, plain = upgrade(target, {}, verify=False)
    stay, certificate, skew = None, b"", None
    browser = Handshake()
    if plain.answer is not None:
        skew = skew_of(plain.answer.header("date"), began, time.time(), target.authority)
        skew = skew or ask_time(target, verify=verify)
    if wire is not None:
        certificate = wire.certificate
        try:
            if plain.accepted:
                browser = look_as_browser(target, origin, verify=verify)
                stay = remain(wire, wanted.token, progress)
        finally:
            wire.close()
    found = []
    for transport, place in (wanted.streams or {}).items():
        progress(f"opening {transport}")
        found.append(stream(transport, place, wanted.token, verify=verify))
    return EndpointFacts(target, origin, plain, browser, stay, tuple(found), certificate, tls_error, skew)


def ask_time(target: Target, *, verify: bool) -> Skew | None:
    """Compare clocks by a plain request: its answer has a ``Date`` where a 101 may have none."""
    began = time.time()
    try:
        answer = get(target, TIMEOUT, verify=verify)
    except ProbeError:
        return None
    return skew_of(answer.header("date"), began, time.time(), target.authority)


def upgrade(target: Target, headers: Mapping[str, str], *, verify: bool) -> tuple[Wire | None, Handshake]:
    """Ask for an upgrade; the wire is open if anything was answered."""
    key = new_key()
    deadline = time.monotonic() + TIMEOUT
    try:
        wire = connect(target, TIMEOUT, verify=verify)
    except ProbeError as error:
        return None, Handshake(error=str(error))
    asked = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    try:
        wire.send(head_of(target, asked), TIMEOUT)
        answer = wire.read_answer(deadline)
    except (ProbeError, TimeoutError) as error:
        wire.close()
        return None, Handshake(error=_told(error, "no answer"))
    correct = answer.status == 101 and answer.header("sec-websocket-accept") == accept_of(key)
    return wire, Handshake(answer=answer, accepted=correct)


def _told(error: ProbeError | TimeoutError, missing: str) -> str:
    return f"{missing} within {TIMEOUT:g} s" if isinstance(error, TimeoutError) else str(error)


def look_as_browser(target: Target, origin: str, *, verify: bool) -> Handshake:
    """Ask again with the header that every browser sends."""
    wire, handshake = upgrade(target, {"Origin": origin}, verify=verify)
    if wire is not None:
        wire.close()
    return handshake


def remain(wire: Wire, token: str, progress: Progress) -> Stay:
    """Connect, stay quiet, and wait for the server's ping."""
    try:
        wire.send_frame(PING, b"doctor", TIMEOUT)
        request = {"token": token} if token else {}
        wire.send_frame(TEXT, json.dumps({"id": 1, "connect": request}).encode(), TIMEOUT)
        pong, reply, refusal = _read_reply(wire)
    except (ProbeError, TimeoutError) as error:
        return Stay(refusal=_told(error, "no reply"))
    if refusal:
        return Stay(pong=pong, refusal=refusal)
    period = reply.get("ping")
    if not isinstance(period, int | float) or not 0 < period < LONGEST_PERIOD:
        return Stay(pong=pong)
    progress(f"staying connected: the server pings every {period:g} s")
    began = time.monotonic()
    try:
        pinged = _wait_for_ping(wire, began + min(period + PING_GRACE, LONGEST_WAIT))
    except TimeoutError:
        return Stay(pong=pong, period=period)
    except ProbeError:
        pinged = False
    after = time.monotonic() - began
    return Stay(
        pong=pong,
        period=period,
        pinged_after=after if pinged else None,
        closed_after=None if pinged else after,
    )


def _read_reply(wire: Wire) -> tuple[bool, Mapping[str, object], str]:
    """Return whether the ping frame came back, the connect result, and why there is none."""
    deadline = time.monotonic() + TIMEOUT
    pong = False
    while True:
        frame = wire.read_frame(deadline)
        if frame is None:
            return pong, {}, "the connection was closed"
        if frame.opcode == PONG:
            pong = pong or frame.payload == b"doctor"
        elif frame.opcode == CLOSE:
            code = int.from_bytes(frame.payload[:2], "big") if len(frame.payload) > 1 else 1005
            return pong, {}, f"disconnect {code}, {frame.payload[2:].decode('utf-8', 'replace')}"
        elif frame.opcode == TEXT:
            reply = _object(frame.payload.split(b"\n")[0])
            if "connect" in reply:
                return pong, _member(reply, "connect"), ""
            error = _member(reply, "error")
            if error:
                return pong, {}, f"error {error.get('code')}, {error.get('message')}"


def _wait_for_ping(wire: Wire, deadline: float) -> bool:
    """Wait for the server's ping and answer it; False if the connection ends first."""
    while True:
        frame = wire.read_frame(deadline)
        if frame is None or frame.opcode == CLOSE:
            return False
        if frame.opcode == TEXT and frame.payload.strip() == b"{}":
            wire.send_frame(TEXT, b"{}", TIMEOUT)
            return True


def _object(text: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _member(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    member = value.get(name)
    return member if isinstance(member, dict) else {}


def stream(transport: str, target: Target, token: str, *, verify: bool) -> Stream:
    """Connect by a streaming transport and wait for the first byte: buffering proxies keep it."""
    command = json.dumps({"id": 1, "connect": {"token": token} if token else {}})
    if transport == "sse":
        target = Target(target.tls, target.host, target.port, f"{target.path}?cf_connect={quote(command)}")
        request = head_of(target, {"Accept": "text/event-stream"})
    else:
        request = head_of(target, {"Content-Length": str(len(command))}, "POST") + command.encode()
    began = time.monotonic()
    try:
        wire = connect(target, TIMEOUT, verify=verify)
    except ProbeError as error:
        return Stream(transport, error=str(error))
    status = 0
    try:
        wire.send(request, TIMEOUT)
        status = wire.read_answer(began + TIMEOUT, with_body=False).status
        came = wire.wait_for_byte(began + TIMEOUT)
        return Stream(transport, status=status, first_byte_after=time.monotonic() - began if came else None)
    except TimeoutError:
        return Stream(transport, status=status)
    except ProbeError as error:
        return Stream(transport, error=str(error), status=status)
    finally:
        wire.close()
