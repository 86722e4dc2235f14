"""What is dangerous in a configuration."""

from collections.abc import Mapping

import pytest

from centrifast.doctor.finding import Finding, Level
from centrifast.doctor.settings import check_settings, is_public
from tests.config.building import config_of

GOOD = {
    "http_server": {"internal_address": "127.0.0.1", "internal_port": "9000"},
    "http_api.key": "k" * 32,
    "client": {"allowed_origins": ["https://a.example"], "token": {"hmac_secret_key": "s" * 32}},
}


def check(*changes: Mapping[str, object]) -> dict[str, Finding]:
    tree: dict[str, object] = dict(GOOD)
    for change in changes:
        tree.update(change)
    return {finding.check: finding for finding in check_settings(config_of(tree))}


def client(**options: object) -> dict[str, object]:
    return {
        "client": {
            "allowed_origins": ["https://a.example"],
            "token": {"hmac_secret_key": "s" * 32},
            **options,
        }
    }


def test_a_good_configuration_is_fine() -> None:
    (finding,) = check().values()
    assert (finding.check, finding.level) == ("settings", Level.OK)


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("", True),
        ("0.0.0.0", True),
        ("::", True),
        ("10.0.0.1", True),
        ("a.example", True),
        ("127.0.0.1", False),
        ("127.1.2.3", False),
        ("::1", False),
        ("localhost", False),
    ],
)
def test_who_can_reach_an_address(host: str, public: bool) -> None:
    assert is_public(host) is public


def test_an_open_api_fails_where_others_reach_it() -> None:
    opened = {"http_api": {"insecure": True}}
    assert check(opened)["http_api.key"].level is Level.WARN
    everywhere: dict[str, object] = {"http_server": {}}
    assert check(opened, everywhere)["http_api.key"].level is Level.FAIL
    assert check({"http_api": {"insecure": True, "external": True}})["http_api.key"].level is Level.FAIL
    assert "http_api.key" not in check({"http_api": {"insecure": True, "disabled": True}}, everywhere)


def test_an_open_grpc_api_fails_where_others_reach_it() -> None:
    assert check({"grpc_api": {"enabled": True}})["grpc_api.key"].level is Level.FAIL
    assert check({"grpc_api": {"enabled": True, "address": "::1"}})["grpc_api.key"].level is Level.WARN
    assert "grpc_api.key" not in check({"grpc_api": {"enabled": True, "key": "k"}})
    assert "grpc_api.key" not in check({"grpc_api": {}})


def test_an_api_without_key_or_with_a_short_one_is_told() -> None:
    assert "every call" in check({"http_api.key": ""})["http_api.key"].seen
    assert check({"http_api.key": "short"})["http_api.key"].seen == "5 characters"


@pytest.mark.parametrize(
    ("change", "option"),
    [
        (client(insecure=True), "client.insecure"),
        (client(insecure_skip_token_signature_verify=True), "client.insecure_skip_token_signature_verify"),
        ({"admin": {"enabled": True, "insecure": True}}, "admin.insecure"),
    ],
)
def test_insecure_modes_fail_where_others_reach_them(change: Mapping[str, object], option: str) -> None:
    finding = check(change)[option]
    assert finding.level is Level.FAIL
    assert finding.mend == (f"{option}: false",)
    assert check(change, {"http_server": {"address": "127.0.0.1"}})[option].level is Level.WARN


def test_a_switched_off_admin_page_is_not_insecure() -> None:
    assert "admin.insecure" not in check({"admin": {"insecure": True}})


@pytest.mark.parametrize(("origins", "seen"), [([], "browsers are refused"), (["*"], "pages of every site")])
def test_origins_are_looked_at(origins: list[str], seen: str) -> None:
    finding = check(client(allowed_origins=origins))["client.allowed_origins"]
    assert finding.level is Level.WARN
    assert seen in finding.seen


def test_a_trusted_header_is_told() -> None:
    finding = check(client(user_id_http_header="X-User"))["client.user_id_http_header"]
    assert finding.mend[0].startswith("proxy_set_header X-User ")


def test_without_any_way_in_nobody_can_connect() -> None:
    assert "no client can connect" in check(client(token={}))["client.token"].seen
    assert "client.token" not in check(client(token={}, allow_anonymous_connect_without_token=True))
    assert "client.token" not in check(client(token={"jwks_public_endpoint": "http://a"}))


def test_a_short_secret_is_told() -> None:
    found = check(client(token={"hmac_secret_key": "secret"}))
    assert found["client.token.hmac_secret_key"].seen == "6 bytes: it can be guessed"


def test_internal_endpoints_on_the_port_of_clients_are_told() -> None:
    merged = {"http_server": {}, "health": {"enabled": True}, "debug": {"enabled": True}}
    finding = check(merged)["internal endpoints"]
    assert finding.seen == "server API, health, debug on the port that clients use, 8000"
    assert "internal_port" in finding.mend[0]
    assert "internal endpoints" not in check(merged, {"http_server": {"address": "127.0.0.1"}})
    assert "internal endpoints" not in check({"http_server": {}, "http_api": {"disabled": True}})
