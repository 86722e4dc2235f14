"""The text format, byte by byte (prometheus.io/docs/instrumenting/exposition_formats)."""

import math

import pytest

from centrifast.metrics.exposition import CONTENT_TYPE, Distribution, Row, Spread, write
from centrifast.metrics.registry import Family, Kind

COUNTER = Family("a_total", Kind.COUNTER, "What\\it\nis.", ("name", "code"))


def test_a_counter_has_its_labels_in_order() -> None:
    assert write([(COUNTER, [Row(3, ("x", 107)), Row(4, ("", "unknown"))])]) == (
        b"# HELP a_total What\\\\it\\nis.\n"
        b"# TYPE a_total counter\n"
        b'a_total{name="x",code="107"} 3\n'
        b'a_total{name="",code="unknown"} 4\n'
    )


def test_labels_are_escaped() -> None:
    lines = write([(COUNTER, [Row(1, ('a"b\\c\nd é', 1))])]).decode().splitlines()
    assert lines[2] == 'a_total{name="a\\"b\\\\c\\nd é",code="1"} 1'


def test_a_family_without_rows_is_left_out() -> None:
    assert write([(COUNTER, [])]) == b""


def test_a_gauge_without_labels_has_no_braces() -> None:
    assert write([(Family("b", Kind.GAUGE, "B."), [Row(-2)])]).endswith(b"\nb -2\n")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (1.0, "1"),
        (2.5, "2.5"),
        (1e-06, "1e-06"),
        (1e21, "1e+21"),
        (2**63, "9223372036854775808"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers_are_written_as_prometheus_reads_them(value: float, written: str) -> None:
    assert write([(Family("b", Kind.GAUGE, "B."), [Row(value)])]).endswith(f"\nb {written}\n".encode())


def test_a_histogram_has_buckets_sum_and_count() -> None:
    family = Family("c_seconds", Kind.HISTOGRAM, "C.", ("t",))
    text = write([(family, [Row(Distribution((0.1, 1.0), (1, 2, 4), 9.5), ("x",))])]).decode()
    assert text.splitlines()[2:] == [
        'c_seconds_bucket{t="x",le="0.1"} 1',
        'c_seconds_bucket{t="x",le="1"} 2',
        'c_seconds_bucket{t="x",le="+Inf"} 4',
        'c_seconds_sum{t="x"} 9.5',
        'c_seconds_count{t="x"} 4',
    ]


def test_a_summary_has_quantiles_sum_and_count() -> None:
    family = Family("d_seconds", Kind.SUMMARY, "D.")
    text = write([(family, [Row(Spread((0.5, 0.75, math.nan), 4, 9.5))])]).decode()
    assert text.splitlines()[2:] == [
        'd_seconds{quantile="0.5"} 0.5',
        'd_seconds{quantile="0.99"} 0.75',
        'd_seconds{quantile="0.999"} NaN',
        "d_seconds_sum 9.5",
        "d_seconds_count 4",
    ]


def test_the_content_type_names_the_version() -> None:
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
