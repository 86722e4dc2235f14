"""The report as one HTML page: settings, figures, charts. Nothing is loaded, nothing runs. Pure functions."""

import time
from html import escape

from centrifast_loadgen.report import Rows
from centrifast_loadgen.run import Outcome
from centrifast_loadgen.series import Series
from centrifast_loadgen.svg import (
    Line,
    format_count,
    format_mib,
    format_percent,
    format_us,
    histogram_chart,
    line_chart,
)

STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1b1f24; --dim: #59636e; --rule: #d1d9e0;
  --card: #f6f8fa; --c0: #0b62d6; --c1: #b35900; --c2: #1a7f37; --good: #1a7f37; --bad: #c21e2b; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0d1117; --text: #e6edf3; --dim: #9198a1; --rule: #30363d; --card: #151b23;
    --c0: #58a6ff; --c1: #f0a35e; --c2: #56d364; --good: #56d364; --bad: #ff7b72; } }
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 1180px; padding: 24px 16px 48px; }
h1 { font-size: 1.6rem; margin: 0 0 4px; }
h2 { font-size: 1.1rem; margin: 28px 0 8px; }
p { color: var(--dim); margin: 0 0 12px; }
.verdict { font-weight: 600; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.columns { display: grid; gap: 24px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--rule); padding: 4px 12px 4px 0; text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 400; white-space: nowrap; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; margin: 0; padding: 12px; }
figcaption { font-weight: 600; margin-bottom: 4px; }
svg { display: block; height: auto; width: 100%; }
svg text { fill: var(--dim); font: 14px system-ui, sans-serif; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis, .tick { stroke: var(--dim); stroke-width: 1; }
.bar { fill: var(--c0); }
.line-0, .line-1, .line-2 { fill: none; stroke-linejoin: round; stroke-width: 2; }
.line-0 { stroke: var(--c0); }
.line-1 { stroke: var(--c1); stroke-dasharray: 7 3; }
.line-2 { stroke: var(--c2); stroke-dasharray: 2 3; }
.dot-0 { fill: var(--c0); }
.dot-1 { fill: var(--c1); }
.dot-2 { fill: var(--c2); }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(outcome: Outcome) -> str:
    """The page of one run."""
    report = outcome.report
    title = f"Load test: {report.scenario}"
    verdict = "good" if report.complete else "bad"
    *figures, (_, result) = report.rows()
    began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(outcome.began))
    settings = [(name, str(value)) for name, value in outcome.settings.as_dict().items()]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{began}, {escape(outcome.settings.url)}</p>
<p class="verdict {verdict}">{escape(result)}</p>
<div class="columns">
<section><h2>Figures</h2>{_table(figures)}</section>
<section><h2>Settings</h2>{_table(settings)}</section>
</div>
<h2>Charts</h2>
<div class="columns">
{"".join(f"<figure><figcaption>{escape(name)}</figcaption>{chart}</figure>" for name, chart in _charts(outcome))}
</div>
</body>
</html>
"""


def _table(rows: Rows) -> str:
    lines = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f'<div class="wide"><table><tbody>{"".join(lines)}</tbody></table></div>'


def _charts(outcome: Outcome) -> list[tuple[str, str]]:
    """Captions and charts of what was measured."""
    series = outcome.series
    charts = []
    if any(outcome.latency_histogram):
        charts.append(
            (
                "Delivery latency, how often",
                histogram_chart(
                    "latency-histogram", "Deliveries by latency", "deliveries", outcome.latency_histogram
                ),
            )
        )
    charts.append(
        (
            "Connect latency, how often",
            histogram_chart(
                "connect-histogram",
                "Connections by time until they were subscribed",
                "connections",
                outcome.connect_histogram,
            ),
        )
    )
    charts.append(
        (
            "Connections",
            line_chart(
                "connections",
                "Open connections",
                [Line("open", series.values(lambda s: s.connections))],
                format_count,
            ),
        )
    )
    if any(outcome.latency_histogram):
        charts += _delivery_charts(series)
    charts.append(("CPU", line_chart("cpu", "CPU, 100 % is one core", _cpu_lines(series), format_percent)))
    if any(sample.rss_bytes for sample in series):
        charts.append(
            (
                "Memory of the server",
                line_chart(
                    "rss",
                    "Resident memory of the server",
                    [Line("RSS", series.values(lambda s: s.rss_bytes / (1 << 20)))],
                    format_mib,
                ),
            )
        )
    return charts  # fmt: skip


def _delivery_charts(series: Series) -> list[tuple[str, str]]:
    rates = [
        Line("deliveries/s", series.rates(lambda s: s.delivered)),
    ]
    latencies = [
        Line("p50", series.values(lambda s: s.p50_us)),
        Line("p99", series.values(lambda s: s.p99_us)),
    ]
    lost = [
        Line("missing", series.values(lambda s: s.missing)),
        Line("closed", series.values(lambda s: s.closed)),
    ]
    return [
        ("Deliveries per second", line_chart("rate", "Deliveries per second", rates, format_count)),
        ("Delivery latency over time", line_chart(
            "latency", "Latency of deliveries, logarithmic", latencies, format_us, log=True)),
        ("Losses", line_chart(
            "losses", "Publications skipped so far, and connections closed by the server", lost, format_count)),
    ]  # fmt: skip


def _cpu_lines(series: Series) -> list[Line]:
    loadgen = Line("load generator", series.rates(lambda s: s.loadgen_cpu_seconds))
    if not any(sample.server_cpu_seconds for sample in series):
        return [loadgen]
    return [Line("server", series.rates(lambda s: s.server_cpu_seconds)), loadgen]
