import pytest
from centrifast_loadgen.hints import hint_for, hints_for


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("out of descriptors: use more --processes or raise the hard limit", "ulimit"),
        ("out of local ports: widen net.ipv4.ip_local_port_range", "source addresses"),
        ("Connection refused", "is the server running"),
        ("publish: [Errno 111] Connection refused", "--api-url"),
        ("publish: HTTP 401 unauthorized", "--api-key"),
        ("publish: HTTP 404 not found", "--api-url"),
        ("publish: 102 unknown channel", "namespace"),
        ("the handshake was refused: HTTP 404 Not Found", "/connection/websocket"),
        ("the handshake was refused: HTTP 403 Forbidden", "--origin"),
        ("the handshake was refused: HTTP 503 Service Unavailable", "limit"),
        ("retried: no answer within 30 s", "--connect-timeout"),
        ("closed by the server: 3500 invalid token", "hmac_secret_key"),
        ("closed by the server: 3501 bad request", "--token-secret"),
        ("closed by the server: 3008 slow", "queue_max_size"),
        ("subscribe: 103 permission denied", "allow_subscribe_for_client"),
        ("connect: 109 token expired", "--token"),
    ],
)
def test_a_reason_says_what_to_do(reason: str, hint: str) -> None:
    assert hint in (hint_for(reason) or "")


def test_what_explains_itself_has_no_hint() -> None:
    assert hint_for("subscribe: 1000 of our own making") is None


def test_hints_come_once_the_most_frequent_first() -> None:
    reasons = {"Connection refused": 1, "publish: HTTP 401 no": 5, "publish: HTTP 403 no": 2, "odd": 9}
    assert hints_for(reasons) == [hint_for("publish: HTTP 401 no"), hint_for("Connection refused")]
