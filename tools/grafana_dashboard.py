"""Write deploy/grafana/centrifast.json: run after a change of this file. The panels are declared below, row by row."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "centrifast.json"

WIDTH = 24
HEIGHT = 8
ON = '{job=~"$job",instance=~"$instance"}'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One graph: *queries* by the legend of their lines. *unit* is Grafana's name of it."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    description: str = ""


def total(name: str) -> str:
    """The sum over all instances."""
    return f"sum(centrifugo_{name}{ON})"


def rate(name: str, by: str = "", labels: str = "") -> str:
    """How fast a counter grows, a second; *labels* are further conditions."""
    where = ON if not labels else f"{ON[:-1]},{labels}}}"
    return f"sum{f' by ({by})' if by else ' '}(rate(centrifugo_{name}{where}[$__rate_interval]))"


def quantile(share: float, name: str, by: str = "") -> str:
    """The duration that *share* of what a histogram saw stayed below."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate(centrifugo_{name}_bucket{ON}[$__rate_interval])))"


def quantiles(name: str) -> dict[str, str]:
    """Median, 99 % and 99.9 % of a histogram."""
    return {"p50": quantile(0.5, name), "p99": quantile(0.99, name), "p99.9": quantile(0.999, name)}


ROWS: dict[str, tuple[Panel, ...]] = {
    "Who is here": (
        Panel(
            "Clients", {"{{instance}}": f"centrifugo_node_num_clients{ON}", "all": total("node_num_clients")}
        ),
        Panel("Users", {"{{instance}}": f"centrifugo_node_num_users{ON}"}),
        Panel("Subscriptions", {"all": total("node_num_subscriptions")}),
        Panel("Channels", {"{{instance}}": f"centrifugo_node_num_channels{ON}"}),
    ),
    "Messages": (
        Panel(
            "Sent to clients",
            {"{{frame_type}}": rate("transport_messages_sent", "frame_type")},
            "cps",
            "Messages a second, a message to 1,000 subscribers counted 1,000 times.",
        ),
        Panel(
            "Received from clients",
            {"{{frame_type}}": rate("transport_messages_received", "frame_type")},
            "cps",
        ),
        Panel(
            "Traffic",
            {
                "sent": rate("transport_messages_sent_size"),
                "received": rate("transport_messages_received_size"),
            },
            "Bps",
            "Bytes of messages, without the framing of transports.",
        ),
        Panel(
            "Through the broker",
            {
                "{{type}} out": rate("node_messages_sent_count", "type"),
                "{{type}} in": rate("node_messages_received_count", "type"),
            },
            "cps",
        ),
    ),
    "Latency": (
        Panel(
            "Publication to socket",
            quantiles("publish_to_socket_seconds"),
            "s",
            "From the moment a channel has something to say until every subscriber of it has been written to.",
        ),
        Panel(
            "Client commands, p99",
            {"{{method}}": quantile(0.99, "client_command_duration_seconds_histogram", "method")},
            "s",
        ),
        Panel(
            "API commands, p99",
            {"{{method}}": quantile(0.99, "api_command_duration_seconds_histogram", "method")},
            "s",
        ),
        Panel("Lateness of the event loop", quantiles("event_loop_lag_seconds"), "s"),
        Panel("Ping to pong", quantiles("client_ping_pong_duration_seconds"), "s"),
        Panel("Broadcast", quantiles("node_broadcast_duration_seconds"), "s"),
    ),
    "Trouble": (
        Panel(
            "Disconnects by the server", {"{{code}}": rate("client_num_server_disconnects", "code")}, "cps"
        ),
        Panel(
            "Unsubscribes by the server", {"{{code}}": rate("client_num_server_unsubscribes", "code")}, "cps"
        ),
        Panel(
            "Errors answered to clients",
            {"{{method}} {{code}}": rate("client_num_reply_errors", "method, code")},
            "cps",
        ),
        Panel(
            "Errors answered to the backend",
            {"{{method}} {{error}}": rate("api_command_errors_total", "method, error")},
            "cps",
        ),
        Panel(
            "Recoveries",
            {"recovered: {{recovered}}": rate("client_recover", "recovered")},
            "cps",
            "`no` means that clients had to load their state anew: history is too short, or the engine was restarted.",
        ),
        Panel(
            "Refused by the connection limit",
            {"{{instance}}": rate("node_client_connection_limit", "instance")},
            "cps",
        ),
    ),
    "Process": (
        Panel("Waiting for slow clients", {"{{instance}}": f"centrifugo_outbox_bytes{ON}"}, "bytes"),
        Panel("Outboxes and channels due to be written", {"{{instance}}": f"centrifugo_drain_length{ON}"}),
        Panel("Memory", {"{{instance}}": f"process_resident_memory_bytes{ON}"}, "bytes"),
        Panel(
            "CPU", {"{{instance}}": f"rate(process_cpu_seconds_total{ON}[$__rate_interval])"}, "percentunit"
        ),
        Panel(
            "Descriptors",
            {"{{instance}} open": f"process_open_fds{ON}", "{{instance}} limit": f"process_max_fds{ON}"},
        ),
        Panel("Nodes", {"nodes": f"max(centrifugo_node_num_nodes{ON})"}),
    ),
}


def queries() -> Iterator[str]:
    """Every query of every panel, and those of the variables."""
    for panels in ROWS.values():
        for panel in panels:
            yield from panel.queries.values()
    yield from (variable["query"]["query"] for variable in variables() if variable["type"] == "query")


def variables() -> list[dict[str, Any]]:
    """What can be chosen at the top: a source, a job, instances."""
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"},
        {
            "name": "job",
            "type": "query",
            "label": "Job",
            "datasource": DATASOURCE,
            "query": {"query": "label_values(centrifugo_node_build, job)", "refId": "job"},
            "refresh": 2,
            "includeAll": True,
            "allValue": ".+",
        },
        {
            "name": "instance",
            "type": "query",
            "label": "Instance",
            "datasource": DATASOURCE,
            "query": {
                "query": 'label_values(centrifugo_node_build{job=~"$job"}, instance)',
                "refId": "instance",
            },
            "refresh": 2,
            "includeAll": True,
            "allValue": ".+",
            "multi": True,
        },
    ]


def graph(number: int, panel: Panel, x: int, y: int, width: int) -> dict[str, Any]:
    """A panel as Grafana stores it."""
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 10}},
            "overrides": [],
        },
        "options": {
            "tooltip": {"mode": "multi", "sort": "desc"},
            "legend": {"displayMode": "list", "placement": "bottom"},
        },
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": DATASOURCE}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def dashboard() -> dict[str, Any]:
    """The whole dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            }
        )
        y += 1
        columns = 4 if len(row) % 4 == 0 else 3
        width = WIDTH // columns
        for index, panel in enumerate(row):
            x = index % columns * width
            panels.append(graph(len(panels) + 1, panel, x, y + index // columns * HEIGHT, width))
        y += -(-len(row) // columns) * HEIGHT
    return {
        "title": "centrifast",
        "uid": "centrifast",
        "tags": ["centrifast"],
        "editable": True,
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables()},
        "panels": panels,
    }


def page() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    DASHBOARD.parent.mkdir(parents=True, exist_ok=True)
    DASHBOARD.write_text(page(), encoding="utf-8")
