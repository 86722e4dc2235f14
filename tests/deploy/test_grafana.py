"""Dashboard and alerts ask for metrics and labels that exist, in queries that Prometheus can read."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from centrifast.metrics.registry import FAMILIES, Family, Kind
from tools import grafana_dashboard

ALERTS = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "alerts.yml"

TARGET = {"job", "instance"}
"""Labels that Prometheus adds."""

NAMES = re.compile(r"\b(?:centrifugo|process|python)_\w+")
SELECTORS = re.compile(r"(\b(?:centrifugo|process|python)_\w+)\{([^}]*)\}")


def samples_of(family: Family) -> set[str]:
    """The names a family's samples have."""
    if family.kind is Kind.HISTOGRAM:
        return {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    if family.kind is Kind.SUMMARY:
        return {family.name, f"{family.name}_count", f"{family.name}_sum"}
    return {family.name}


SAMPLES = {name: family for family in FAMILIES for name in samples_of(family)}


def labels_of(name: str) -> set[str]:
    return set(SAMPLES[name].labels) | TARGET | ({"le"} if name.endswith("_bucket") else set())


def alert_queries() -> list[str]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule["expr"] for rule in group["rules"]]


QUERIES = [*grafana_dashboard.queries(), *alert_queries()]


def panel_queries() -> list[str]:
    return [
        query for row in grafana_dashboard.ROWS.values() for panel in row for query in panel.queries.values()
    ]


@pytest.mark.parametrize("query", QUERIES)
def test_queries_name_only_metrics_that_exist(query: str) -> None:
    names = set(NAMES.findall(query))
    assert names or query.startswith("up{")
    assert names <= set(SAMPLES)


@pytest.mark.parametrize("query", QUERIES)
def test_queries_name_only_labels_that_exist(query: str) -> None:
    known: set[str] = set()
    for name in NAMES.findall(query):
        known |= labels_of(name)
    for name, conditions in SELECTORS.findall(query):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", conditions)) <= labels_of(name)
    for grouping in re.findall(r"by \(([^)]*)\)", query):
        assert {label.strip() for label in grouping.split(",")} <= known


def test_legends_name_only_labels_that_are_left() -> None:
    for row in grafana_dashboard.ROWS.values():
        for panel in row:
            for legend, query in panel.queries.items():
                wanted = set(re.findall(r"\{\{(\w+)\}\}", legend))
                groupings = re.findall(r"by \(([^)]*)\)", query)
                left = (
                    {label.strip() for label in groupings[0].split(",")}
                    if groupings
                    else labels_of(NAMES.findall(query)[0])
                )
                assert wanted <= left, panel.title


def test_the_dashboard_is_what_its_source_says() -> None:
    assert grafana_dashboard.DASHBOARD.read_text() == grafana_dashboard.page()


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = json.loads(grafana_dashboard.page())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= grafana_dashboard.WIDTH
        assert not cells & taken
        taken |= cells


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    queries = [
        query.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+")
        for query in panel_queries()
    ]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for checked in (file, ALERTS):
        subprocess.run(["promtool", "check", "rules", str(checked)], check=True, capture_output=True)
