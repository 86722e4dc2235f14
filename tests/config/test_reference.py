"""The page of options."""

from pathlib import Path

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.option import walk
from centrifast.config.reference import (
    FLAGS,
    SHORT_FLAGS,
    anchor,
    reference_page,
    reference_section,
    shared_sections,
)
from centrifast.config.schema import Config

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "config.md"


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == reference_page(), (
        "run: centrifast configdoc -m > docs/reference/config.md"
    )


def test_every_option_is_on_the_page() -> None:
    page = reference_page()
    for path, option in walk(Config):
        if option.section is None:
            assert option.name in page, path


def test_references_lead_to_a_heading() -> None:
    page = reference_page()
    headings = {line[3:].lower().replace(" ", "-") for line in page.splitlines() if line.startswith("## ")}
    assert {anchor(kind) for kind in shared_sections()} <= headings


def test_rows_tell_type_default_and_state() -> None:
    page = reference_page()
    assert "| `http_server.port` | int | `8000` | External port. |" in page
    assert "| `client.ping_interval` | duration | `25s` |" in page
    assert "*Not built yet: the server refuses to start with it.*" in page
    assert '| `address` | list of str | `["redis://127.0.0.1:6379"]` |' in page
    assert "*Not built yet: `nats`, `redisnats`, `postgres`.*" in page
    assert "*An addition of centrifast.*" in page


def test_headings_can_be_shifted() -> None:
    assert reference_page(2).startswith("### Configuration options")


def test_one_section_can_be_shown() -> None:
    assert reference_section("client.token", 1).startswith("### client.token\n")
    assert "`channel.namespaces[].name`" in reference_section("channel.namespaces")


def test_a_section_that_does_not_exist_is_told() -> None:
    with pytest.raises(ConfigError, match="there is no section 'nope'"):
        reference_section("nope")
    with pytest.raises(ConfigError, match="there is no section"):
        reference_section("pid_file")


def test_flags_are_options() -> None:
    assert set(FLAGS) <= {path for path, option in walk(Config) if option.section is None}
    assert set(SHORT_FLAGS) <= set(FLAGS)


def test_every_flag_of_centrifugo_is_there() -> None:
    enabled = "broker presence_manager debug admin prometheus health swagger uni_websocket uni_sse"
    enabled += " uni_http_stream sse http_stream init grpc_api uni_grpc"
    others = (
        "http_server.address http_server.port http_server.internal_address http_server.internal_port pid_file"
    )
    others += (
        " engine.type broker.type presence_manager.type map_broker.type log.level log.file admin.external"
    )
    others += (
        " admin.insecure client.insecure http_api.insecure http_api.external grpc_api.port uni_grpc.port"
    )
    assert {*others.split(), *(f"{name}.enabled" for name in enabled.split())} <= set(FLAGS)
    assert SHORT_FLAGS == {"http_server.address": "-a", "http_server.port": "-p"}
