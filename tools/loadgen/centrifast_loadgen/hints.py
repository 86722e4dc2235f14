"""What to do about the reasons a run gives. No I/O."""

import re

HINTS: dict[str, str] = {
    "out of descriptors": "more --processes, or a higher hard limit (ulimit -Hn, LimitNOFILE=)",
    "out of local ports": (
        "widen net.ipv4.ip_local_port_range, or load from several machines; a server on loopback is reached "
        "from several source addresses already"
    ),
    "publish: .*(refused|reset)": "nothing serves the API there: check --api-url",
    "[Cc]onnection refused": "nothing listens there: is the server running, is --url right?",
    "publish: HTTP 40[13]": "the server does not accept the API key: --api-key must be its http_api.key",
    "publish: HTTP 404": "no API under that path: check --api-url (Centrifugo serves it under /api)",
    "publish: 102": "the server does not know the namespace of --channel-prefix",
    "HTTP 404": "no WebSocket under that path: check --url (Centrifugo serves /connection/websocket)",
    "HTTP 403": "the server refuses the origin: set --origin to one of its client.allowed_origins",
    "HTTP 401": "something in front of the server wants credentials",
    "HTTP 429": "the server limits the rate of new connections: lower --connect-rate",
    "HTTP 503": "the server is at a limit (descriptors, connections) or stopping: see its log",
    "no answer within": "the server is too slow, or full: lower --connect-rate or raise --connect-timeout",
    "3500 invalid token": "--token-secret must be the server's client.token.hmac_secret_key",
    "3501 bad request": (
        "does the server demand a token? Give --token or --token-secret, or set "
        "client.allow_anonymous_connect_without_token"
    ),
    "3504 connection limit": "a user has too many connections: more --users, or client.user_connection_limit",
    "3505 channel limit|106 limit exceeded": (
        "too many channels: lower --channels-per-connection, or raise client.channel_limit"
    ),
    "3008 slow": (
        "a client's queue at the server was full: it reads too slowly, or client.queue_max_size is small"
    ),
    "3012 no pong": "clients did not answer in time: is the machine of the load generator overloaded?",
    "subscribe: 102": "the server does not know the namespace of --channel-prefix",
    "subscribe: 103": (
        "channels like --channel-prefix need allow_subscribe_for_client and, without a token, "
        "allow_subscribe_for_anonymous"
    ),
    "109 token expired": "get a fresh --token, or let --token-secret sign them",
}
"""Pattern of a reason, and what helps; the first that fits counts."""


def hint_for(reason: str) -> str | None:
    """What to do about a reason; None when it explains itself."""
    return next((hint for pattern, hint in HINTS.items() if re.search(pattern, reason)), None)


def hints_for(reasons: dict[str, int]) -> list[str]:
    """The hints of all reasons, each once, the most frequent first."""
    ordered = sorted(reasons, key=lambda reason: -reasons[reason])
    return list(dict.fromkeys(filter(None, map(hint_for, ordered))))
