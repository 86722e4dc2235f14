"""The page of a run: complete in itself, readable, and without an error in a real browser."""

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from centrifast_loadgen._board import HISTOGRAM_BUCKETS, histogram_bucket
from centrifast_loadgen.page import POLICY, render
from centrifast_loadgen.report import Report
from centrifast_loadgen.run import Outcome
from centrifast_loadgen.series import Sample, Series
from centrifast_loadgen.settings import Settings
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.sdk.driver import WAIT_TIMEOUT
from tests.sdk.test_browser import FLAGS, program


def outcome(**report: object) -> Outcome:
    """A run that has something for every chart."""
    series = Series()
    for second in range(40):
        series.append(
            Sample(
                seconds=float(second),
                connections=min(second * 100, 1000),
                published=second,
                delivered=1000 * second,
                missing=second // 20,
                closed=0,
                p50_us=900 + 10 * second,
                p99_us=4000 + 1000 * (second % 5),
                server_cpu_seconds=second * 0.6,
                loadgen_cpu_seconds=second * 0.3,
                rss_bytes=(50 << 20) + second * 100_000,
            )
        )
    histogram = [0] * HISTOGRAM_BUCKETS
    for us in range(300, 90_000, 7):
        histogram[histogram_bucket(us)] += 1 + 90_000 // us
    figures = Report(
        connections=1000, processes=1, connected=1000, published=40, delivered=40_000, expected=40_000
    )
    settings = Settings(token="a-secret-token", channel_prefix="<news>")
    return Outcome(settings, replace(figures, **report), series, histogram, histogram, began=1_800_000_000.0)  # type: ignore[arg-type]


def empty() -> Outcome:
    """A run that could not even connect."""
    zeros = [0] * HISTOGRAM_BUCKETS
    return Outcome(Settings(), Report(connections=1, processes=1, failed=1), Series(), zeros, zeros)


class References(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "img", "object"):
            self.found.append((tag, ""))
        for name, value in attrs:
            if (
                name.startswith("on")
                or name == "src"
                or (name == "href" and not (value or "").startswith("data:"))
            ):
                self.found.append((name, value or ""))


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    parser = References()
    parser.feed(render(outcome()))
    assert parser.found == []
    assert POLICY.startswith("default-src 'none'")
    assert "url(" not in render(outcome())


def test_a_page_tells_settings_but_no_secrets_and_escapes_them() -> None:
    page = render(outcome())
    assert "a-secret-token" not in page
    assert "&lt;news&gt;" in page
    assert "<news>" not in page


def test_a_page_tells_figures_and_verdict() -> None:
    assert '<p class="verdict good">complete</p>' in render(outcome())
    page = render(outcome(lost=7))
    assert '<p class="verdict bad">INCOMPLETE: 7 lost</p>' in page
    assert "<td>40,000 of 40,000</td>" in page
    assert "2027-01-15 08:00:00 UTC" in page


def test_a_run_without_deliveries_has_no_charts_of_them() -> None:
    page = render(empty())
    assert "Deliveries per second" not in page
    assert "no data" in page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium that keeps what it has to complain about."""
    options = ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, Service(program("chromedriver")))
    browser.set_page_load_timeout(WAIT_TIMEOUT)
    yield browser
    browser.quit()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_shows_every_chart_without_an_error(
    browser: Chrome, tmp_path: Path, scheme: str, width: int
) -> None:
    (tmp_path / "report.html").write_text(render(outcome()))
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    charts = browser.find_elements(By.TAG_NAME, "svg")
    assert len(charts) == 8
    for chart in charts:
        assert chart.size["width"] > 250
        assert chart.accessible_name
        assert chart.aria_role == "image"
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    lightness = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (lightness == "rgb(255, 255, 255)") == (scheme == "light")


def test_no_text_of_a_chart_overlaps_another(browser: Chrome, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(render(outcome()))
    browser.get((tmp_path / "report.html").as_uri())
    overlapping = browser.execute_script("""
        const found = [];
        for (const svg of document.querySelectorAll("svg")) {
            const boxes = [...svg.querySelectorAll("text")].map(
                text => [text.textContent, text.getBoundingClientRect()]);
            boxes.forEach(([a, one], i) => boxes.slice(i + 1).forEach(([b, two]) => {
                if (one.left < two.right && two.left < one.right && one.top < two.bottom && two.top < one.bottom)
                    found.push(a + " / " + b);
            }));
        }
        return found;
    """)
    assert overlapping == []
