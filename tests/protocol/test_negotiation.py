import pytest

from centrifast.protocol.negotiation import choose_encoding
from centrifast.protocol.wire import Encoding

JSON, PROTOBUF = Encoding.JSON, Encoding.PROTOBUF


@pytest.mark.parametrize(
    ("query", "encoding"),
    [
        ("", JSON),
        ("format=protobuf", PROTOBUF),
        ("cf_protocol=protobuf", PROTOBUF),
        ("a=b&cf_protocol=protobuf&cf_protocol_version=v2", PROTOBUF),
        ("format=%70rotobuf", PROTOBUF),
        ("format=json", JSON),
        ("format=Protobuf", JSON),
        ("format=", JSON),
        ("other=protobuf", JSON),
        ("format=protobuf2", JSON),
        ("cf_protocol_version=v2", JSON),
        ("&&=&%zz", JSON),
    ],
)
def test_the_query_chooses(query: str, encoding: Encoding) -> None:
    assert choose_encoding(query, None) == (encoding, None)


@pytest.mark.parametrize(
    ("subprotocols", "encoding", "echoed"),
    [
        (None, JSON, None),
        ("", JSON, None),
        (" , ,", JSON, None),
        ("centrifuge-json", JSON, "centrifuge-json"),
        ("centrifuge-protobuf", PROTOBUF, "centrifuge-protobuf"),
        ("chat,  centrifuge-protobuf , centrifuge-json", PROTOBUF, "centrifuge-protobuf"),
        ("centrifuge-json, centrifuge-protobuf", JSON, "centrifuge-json"),
        ("Centrifuge-Protobuf", JSON, None),
        ("chat", JSON, None),
    ],
)
def test_the_first_known_subprotocol_is_echoed(
    subprotocols: str | None, encoding: Encoding, echoed: str | None
) -> None:
    assert choose_encoding("", subprotocols) == (encoding, echoed)


def test_the_json_subprotocol_does_not_undo_the_query() -> None:
    assert choose_encoding("format=protobuf", "centrifuge-json") == (PROTOBUF, "centrifuge-json")
