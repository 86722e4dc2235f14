"""``/connection/init`` of a running daemon."""

from pathlib import Path

from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess


def test_latency_probes_are_answered_where_they_are_switched_on(tmp_path: Path) -> None:
    changes = {"init": {"enabled": True}, "client": {"connection_limit": 1}}
    with ServerProcess(tmp_path, changes) as server:
        assert server.get("/connection/init") == (200, b"{}")
        assert server.request("POST", "/connection/init", b"", {})[0] == 405
        with RawWebSocket(server.port) as client:
            client.connect()
            assert server.get("/connection/init") == (503, b"")
    with ServerProcess(tmp_path) as server:
        assert server.get("/connection/init")[0] == 404
