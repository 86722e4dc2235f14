"""Tables of every code this server sends, and the exceptions that carry a row of them.

Three kinds of failure, never mixed: a ``ClientError`` is answered in a reply and the connection lives; a
``Disconnect`` ends the connection; anything else is a bug or an outage and is answered as INTERNAL at one boundary.
Sources: client protocol section 5, server specification sections 6.4 and 13.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A row of the error tables: an answer to a command; *temporary* errors are worth a retry."""

    code: int
    message: str
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class DisconnectCode:
    """Why a connection ends. *reason* is plain text, 1 to 123 bytes, and never valid JSON (client protocol 5.4)."""

    code: int
    reason: str

    @property
    def reconnect(self) -> bool:
        """What every SDK concludes from the code: come back unless it lies in 3500-3999 or 4500-4999."""
        return not (3500 <= self.code <= 3999 or 4500 <= self.code <= 4999)


@dataclass(frozen=True, slots=True)
class UnsubscribeCode:
    """Why a subscription ends; clients resubscribe from 2500 on."""

    code: int
    reason: str


INTERNAL = ErrorCode(100, "internal server error", temporary=True)
UNAUTHORIZED = ErrorCode(101, "unauthorized")
UNKNOWN_CHANNEL = ErrorCode(102, "unknown channel")
PERMISSION_DENIED = ErrorCode(103, "permission denied")
METHOD_NOT_FOUND = ErrorCode(104, "method not found")
ALREADY_SUBSCRIBED = ErrorCode(105, "already subscribed")
LIMIT_EXCEEDED = ErrorCode(106, "limit exceeded")
BAD_REQUEST = ErrorCode(107, "bad request")
NOT_AVAILABLE = ErrorCode(108, "not available")
TOKEN_EXPIRED = ErrorCode(109, "token expired")
EXPIRED = ErrorCode(110, "expired")
TOO_MANY_REQUESTS = ErrorCode(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION = ErrorCode(112, "unrecoverable position")
CONCURRENT_PAGINATION = ErrorCode(113, "concurrent pagination", temporary=True)

CLIENT_ERRORS = (
    INTERNAL,
    UNAUTHORIZED,
    UNKNOWN_CHANNEL,
    PERMISSION_DENIED,
    METHOD_NOT_FOUND,
    ALREADY_SUBSCRIBED,
    LIMIT_EXCEEDED,
    BAD_REQUEST,
    NOT_AVAILABLE,
    TOKEN_EXPIRED,
    EXPIRED,
    TOO_MANY_REQUESTS,
    UNRECOVERABLE_POSITION,
    CONCURRENT_PAGINATION,
)


@dataclass(frozen=True, slots=True)
class ApiErrorCode:
    """A row of the server API's table; *status* is used in transport error mode only."""

    code: int
    message: str
    status: int


API_INTERNAL = ApiErrorCode(100, "internal server error", 500)
API_UNKNOWN_CHANNEL = ApiErrorCode(102, "unknown channel", 404)
API_NOT_FOUND = ApiErrorCode(104, "not found", 404)
API_BAD_REQUEST = ApiErrorCode(107, "bad request", 400)
API_NOT_AVAILABLE = ApiErrorCode(108, "not available", 400)
API_UNRECOVERABLE_POSITION = ApiErrorCode(112, "unrecoverable position", 416)
API_CONFLICT = ApiErrorCode(113, "conflict", 409)

API_ERRORS = (
    API_INTERNAL,
    API_UNKNOWN_CHANNEL,
    API_NOT_FOUND,
    API_BAD_REQUEST,
    API_NOT_AVAILABLE,
    API_UNRECOVERABLE_POSITION,
    API_CONFLICT,
)

CONNECTION_CLOSED = DisconnectCode(3000, "connection closed")
SHUTDOWN = DisconnectCode(3001, "shutdown")
INTERNAL_SERVER_ERROR = DisconnectCode(3004, "internal server error")
CONNECTION_EXPIRED = DisconnectCode(3005, "connection expired")
SUBSCRIPTION_EXPIRED = DisconnectCode(3006, "subscription expired")
SLOW = DisconnectCode(3008, "slow")
WRITE_ERROR = DisconnectCode(3009, "write error")
INSUFFICIENT_STATE = DisconnectCode(3010, "insufficient state")
FORCE_RECONNECT = DisconnectCode(3011, "force reconnect")
NO_PONG = DisconnectCode(3012, "no pong")
TOO_MANY_REQUESTS_DISCONNECT = DisconnectCode(3013, "too many requests")
STATE_INVALIDATED = DisconnectCode(3014, "state invalidated")
INVALID_TOKEN = DisconnectCode(3500, "invalid token")
BAD_REQUEST_DISCONNECT = DisconnectCode(3501, "bad request")
STALE = DisconnectCode(3502, "stale")
FORCE_DISCONNECT = DisconnectCode(3503, "force disconnect")
CONNECTION_LIMIT = DisconnectCode(3504, "connection limit")
CHANNEL_LIMIT = DisconnectCode(3505, "channel limit")
INAPPROPRIATE_PROTOCOL = DisconnectCode(3506, "inappropriate protocol")
PERMISSION_DENIED_DISCONNECT = DisconnectCode(3507, "permission denied")
NOT_AVAILABLE_DISCONNECT = DisconnectCode(3508, "not available")
TOO_MANY_ERRORS = DisconnectCode(3509, "too many errors")

DISCONNECTS = (
    CONNECTION_CLOSED,
    SHUTDOWN,
    INTERNAL_SERVER_ERROR,
    CONNECTION_EXPIRED,
    SUBSCRIPTION_EXPIRED,
    SLOW,
    WRITE_ERROR,
    INSUFFICIENT_STATE,
    FORCE_RECONNECT,
    NO_PONG,
    TOO_MANY_REQUESTS_DISCONNECT,
    STATE_INVALIDATED,
    INVALID_TOKEN,
    BAD_REQUEST_DISCONNECT,
    STALE,
    FORCE_DISCONNECT,
    CONNECTION_LIMIT,
    CHANNEL_LIMIT,
    INAPPROPRIATE_PROTOCOL,
    PERMISSION_DENIED_DISCONNECT,
    NOT_AVAILABLE_DISCONNECT,
    TOO_MANY_ERRORS,
)


def client_left() -> DisconnectCode:
    """What log and taps are told of a connection that its client closed; 3000 is never sent to anybody."""
    return CONNECTION_CLOSED


SERVER_UNSUBSCRIBE = UnsubscribeCode(2000, "server unsubscribe")
UNSUBSCRIBE_INSUFFICIENT_STATE = UnsubscribeCode(2500, "insufficient state")
UNSUBSCRIBE_EXPIRED = UnsubscribeCode(2501, "subscription expired")
UNSUBSCRIBE_STATE_INVALIDATED = UnsubscribeCode(2502, "state invalidated")

UNSUBSCRIBES = (
    SERVER_UNSUBSCRIBE,
    UNSUBSCRIBE_INSUFFICIENT_STATE,
    UNSUBSCRIBE_EXPIRED,
    UNSUBSCRIBE_STATE_INVALIDATED,
)


class ClientError(Exception):
    """The command failed and is answered with this row; the connection lives."""

    def __init__(self, error: ErrorCode) -> None:
        super().__init__(error.message)
        self.error = error


class ApiError(Exception):
    """The server API call failed and is answered with this row."""

    def __init__(self, error: ApiErrorCode) -> None:
        super().__init__(error.message)
        self.error = error


class Disconnect(Exception):
    """The connection must end with this row."""

    def __init__(self, disconnect: DisconnectCode) -> None:
        super().__init__(disconnect.reason)
        self.disconnect = disconnect
