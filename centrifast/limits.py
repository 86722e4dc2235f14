"""Every limit that is not an option, with its reason."""

KIB = 1024
MIB = 1024 * KIB

WEBSOCKET_CLOSE_TIMEOUT = 5.0
"""Seconds to wait for the peer's close frame before the socket is dropped (client protocol 5.4)."""

CLOSE_REASON_SIZE = 123
"""Bytes a close frame leaves for the reason (RFC 6455 section 5.5)."""

FAILED_CONNECT_LINGER = 5.0
"""Seconds until a connection whose connect was answered with an error is dropped (server specification 5.1)."""

MAX_TTL = 365 * 24 * 3600
"""Seconds; what clients are told of an expiration is capped at a year (client protocol 3.3)."""

DRAIN_SLICE = 0.001
"""Seconds of writing before the loop serves its sockets again (architecture 5.3)."""

DISCONNECT_BATCH = 1000
"""Clients disconnected at shutdown between two turns of the loop."""

CONNECTION_LIMIT_LOG_INTERVAL = 3.0
"""Seconds between two log lines about the connection limit (server specification 2.5)."""

DESCRIPTORS_WARNING = 65_535
"""A hard limit of open files below this is worth a warning at start (server specification 12.5)."""

SHUTDOWN_POLL = 0.02
"""Seconds between two looks at whether the last connection has gone."""

PRESENCE_TTL = 60.0
"""Seconds a presence entry counts without a refresh where no engine option says otherwise (server specification 3.7)."""
