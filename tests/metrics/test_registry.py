"""The families: their names and labels are the specification's."""

import re

import pytest

from centrifast.metrics.registry import FAMILIES, Family, Kind
from tools.reference_metrics import PAGE, page

NAME = re.compile(r"[a-z][a-z0-9_]*")


def test_every_name_is_there_once() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names)) > 40


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_and_labels_fit_the_text_format(family: Family) -> None:
    assert NAME.fullmatch(family.name)
    assert family.help
    assert family.help.endswith(".")
    assert all(NAME.fullmatch(label) for label in family.labels)
    assert not {"le", "quantile"} & set(family.labels), "those belong to histograms and summaries"


def test_what_is_labelled_by_transport_and_frame_has_an_empty_namespace_too() -> None:
    rows = {family.name: (family.kind, family.labels) for family in FAMILIES}
    for name in ("sent", "sent_size", "received", "received_size"):
        assert rows[f"centrifugo_transport_messages_{name}"] == (
            Kind.COUNTER,
            ("transport", "frame_type", "channel_namespace"),
        )
    assert rows["centrifugo_client_connections_inflight"] == (
        Kind.GAUGE,
        ("transport", "accept_protocol", "client_name", "client_version"),
    )


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m tools.reference_metrics"
