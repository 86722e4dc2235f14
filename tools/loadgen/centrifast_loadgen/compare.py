"""Two runs side by side. No I/O."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

# Figures where more, or less, is better; of others nothing is said. By the last part of the name.
MORE_IS_BETTER = {
    "connected", "connects_per_s", "delivered", "deliveries_per_s", "published", "back", "caught_up", "recovered",
    "recoveries", "publications_recovered", "subscriptions_recovered", "complete",
}  # fmt: skip
LESS_IS_BETTER = {
    "failed", "closed", "connect_seconds", "connect_cpu_us", "rss_per_connection", "rss", "publish_errors",
    "api_p50_us", "api_p99_us", "lost", "surplus", "disordered", "offset_gaps", "offset_repeats", "unsubscribed",
    "delivery_cpu_us", "server_cpu_share", "seconds", "retried", "timeouts", "unrecovered", "doubled", "unseen",
    "behind", "joins_seconds", "leaves_seconds", "rss_begin", "rss_end", "p50", "p90", "p99", "p999", "max",
}  # fmt: skip
IGNORED = {"reasons", "hints", "warnings", "settings", "worker_cpu_shares", "scenario"}
EQUAL = 0.02  # a smaller difference is none

Number = float | int | bool


def load(text: str) -> dict[str, Any]:
    """Figures of one run, from the JSON line it printed. Raises ValueError."""
    try:
        figures = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not the output of a run with --json: {error}") from error
    if not isinstance(figures, dict) or "connections" not in figures:
        raise ValueError("not the output of a run with --json: an object with figures was expected")
    return figures


def flatten(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Number | None]]:
    """Names, with dots, and numbers; null as None."""
    for name, value in figures.items():
        if name in IGNORED:
            continue
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            items = {str(index): item for index, item in enumerate(value, 1)}
            yield from flatten(items, f"{prefix}{name}.")
        elif isinstance(value, int | float) or value is None:
            yield prefix + name, value


def verdict(name: str, first: Number, second: Number) -> str:
    """Which is better: ``first``, ``second``, ``equal``, or nothing where neither can be."""
    last = name.rpartition(".")[2]
    if last not in MORE_IS_BETTER | LESS_IS_BETTER:
        return ""
    if abs(first - second) <= EQUAL * max(abs(first), abs(second)):
        return "equal"
    return "first" if (first > second) == (last in MORE_IS_BETTER) else "second"


def ratio(first: Number, second: Number) -> str:
    """Second relative to first."""
    if first == second:
        return "1.00"
    return f"{second / first:.2f}" if first else "-"


def differing_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Settings that the runs do not share: where there are any, the figures compare two things at once."""
    mine, other = first.get("settings", {}), second.get("settings", {})
    return [
        f"{name}: {mine.get(name, 'default')} / {other.get(name, 'default')}"
        for name in sorted({*mine, *other})
        if mine.get(name) != other.get(name)
    ]


def as_table(first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, str]) -> str:
    """All figures that both have, the ratio of the second to the first, and which is better."""
    mine, other = dict(flatten(first)), dict(flatten(second))
    lines = [f"{'':<34}{names[0][-18:]:>18}{names[1][-18:]:>18}{'ratio':>8}  better"]
    for name, value in mine.items():
        beside = other.get(name)
        if value is None or beside is None or value == beside == 0:
            continue
        better = {"first": names[0], "second": names[1]}.get(word := verdict(name, value, beside), word)
        figures = f"{_show(value):>18}{_show(beside):>18}{ratio(value, beside):>8}"
        lines.append(f"{name:<34}{figures}  {better}".rstrip())
    different = differing_settings(first, second)
    if different:
        lines += ["", "settings that differ (first / second):", *(f"  {line}" for line in different)]
    return "\n".join(lines)


def _show(value: Number) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
