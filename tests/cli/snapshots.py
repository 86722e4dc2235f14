"""Made-up answers of ``stats``."""

from typing import Any

NOTHING = {"p50": 0.0, "p99": 0.0, "p999": 0.0}


def node(uid: str = "u1", **numbers: Any) -> dict[str, Any]:
    """One process, one second after its start, with these numbers instead of the usual ones."""
    return {
        "uid": uid,
        "name": "web-1",
        "version": "0.1.0",
        "pid": 4711,
        "uptime": 1.0,
        "time": 1_700_000_000.5,
        "num_clients": 12_300,
        "num_users": 11_800,
        "num_subs": 48_100,
        "num_channels": 1200,
        "messages_sent": 1000,
        "bytes_sent": 100_000,
        "messages_received": 10,
        "bytes_received": 1000,
        "publications": 5,
        "slow_disconnects": 3,
        "outbox_bytes": 1_200_000,
        "drain_length": 7,
        "rss": 310 * 1024**2,
        "cpu_seconds": 2.0,
        "open_descriptors": 12_345,
        "descriptor_limit": 65_535,
        "publish_to_socket": {"p50": 0.00012, "p99": 0.0011, "p999": 0.0032},
        "client_command": {"p50": 0.00008, "p99": 0.0009, "p999": 0.002},
        "api_command": {"p50": 0.0002, "p99": 0.0015, "p999": 0.012},
        "loop_lag": {"p50": 0.00005, "p99": 0.0021, "p999": 0.034},
        "slow": [],
        **numbers,
    }


def later(before: dict[str, Any], seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    """The same process *seconds* later; what is in *more* has grown by that, or is replaced if it is no number."""
    after = {**before, "uptime": before["uptime"] + seconds, "time": before["time"] + seconds}
    for name, value in more.items():
        after[name] = before[name] + value if isinstance(value, int | float) else value
    return after
