"""What supervisor and worker tell each other survives the way."""

import pickle
from pathlib import Path

import pytest

from centrifast.config.loader import load
from centrifast.workers.messages import (
    NotStarted,
    Order,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    ReopenLog,
    Report,
    Start,
    decode_order,
    decode_report,
    encode,
    pack,
    unpack_config,
    unpack_loaded,
)


@pytest.mark.parametrize(
    "order",
    [Start("1.0", 2, b"x", 5, [(6, "external")], (7, 1)), Ping(), Reconfigure(3, b"y"), ReopenLog()],
)
def test_orders(order: Order) -> None:
    assert decode_order(encode(order)) == order


@pytest.mark.parametrize(
    "report",
    [Ready("serving", [(["api", "health"], "::1", 8000)]), NotStarted("no"), Pong(), Reconfigured(3, "no")],
)
def test_reports(report: Report) -> None:
    assert decode_report(encode(report)) == report


def test_a_configuration_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        '{"channel": {"namespaces": [{"name": "chat", "history_size": 3}]}, "odd": 1, '
        '"client.token.hmac_secret_key": "secret", "http_api": {"key": "k"}}'
    )
    loaded = load(path, {"http_server.port": 9000}, {"CENTRIFUGO_CLIENT_ALLOWED_ORIGINS": "a b"})
    assert unpack_loaded(pack(loaded)) == loaded
    assert unpack_config(pack(loaded.config)) == loaded.config


def test_anything_else_is_refused() -> None:
    for unpack in (unpack_loaded, unpack_config):
        with pytest.raises(ValueError, match="no configuration"):
            unpack(pickle.dumps("text"))
