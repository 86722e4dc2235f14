"""Delta compression with the client libraries (client protocol 7)."""

import json
from base64 import b64encode

import pytest

from tests.sdk.cable import Cable
from tests.sdk.conftest import Launch, LaunchAll, publish_all
from tests.sdk.driver import SdkClient
from tests.server_process import ServerProcess


def document(number: int) -> dict[str, object]:
    """About 500 bytes that differ a little from one number to the next."""
    return {"number": number, "rows": [f"row {row} stays as it is" for row in range(19)], "end": number * 7}


DOCUMENTS = [document(number) for number in range(6)]


def publish_text(server: ServerProcess, channel: str, data: object) -> None:
    """Publish JSON whose characters are bytes of UTF-8, not escapes."""
    payload = json.dumps(data, ensure_ascii=False).encode()
    answer = server.api("publish", channel=channel, b64data=b64encode(payload).decode())
    assert "error" not in answer, answer


@pytest.fixture
def stream(channel: str) -> str:
    """A channel whose publications are all made for delta."""
    return f"delta:{channel}"


@pytest.fixture
def client(launch: Launch, cable: Cable, stream: str) -> SdkClient:
    """A subscriber with delta, behind the cable."""
    client = launch(server=cable)
    client.connect()
    client.subscribe(stream, delta="fossil")
    return client


def test_after_the_first_publication_only_changes_come(
    client: SdkClient, server: ServerProcess, stream: str
) -> None:
    assert 400 < len(json.dumps(DOCUMENTS[0])) < 600
    publish_all(server, stream, DOCUMENTS)
    assert client.publications(stream, len(DOCUMENTS)) == DOCUMENTS
    assert client.patches == [False] + [True] * (len(DOCUMENTS) - 1)


def test_a_payload_without_anything_in_common_comes_whole(
    client: SdkClient, server: ServerProcess, stream: str
) -> None:
    payloads: list[object] = [document(1), "short", document(2), document(3)]
    publish_all(server, stream, payloads)
    assert client.publications(stream, 4) == payloads
    assert client.patches == [False, False, False, True]


def test_without_delta_all_comes_whole(launch: Launch, server: ServerProcess, stream: str) -> None:
    client = launch()
    client.connect()
    client.subscribe(stream)
    publish_all(server, stream, DOCUMENTS)
    assert client.publications(stream, len(DOCUMENTS)) == DOCUMENTS
    assert not any(client.patches)


def test_subscribers_with_and_without_delta_share_a_channel(
    client: SdkClient, launch: Launch, server: ServerProcess, stream: str
) -> None:
    plain, late = launch(), launch()
    for other in (plain, late):
        other.connect()
    plain.subscribe(stream)
    publish_all(server, stream, DOCUMENTS[:3])
    late.subscribe(stream, delta="fossil")
    publish_all(server, stream, DOCUMENTS[3:])
    assert client.publications(stream, 6) == DOCUMENTS
    assert plain.publications(stream, 6) == DOCUMENTS
    assert late.publications(stream, 3) == DOCUMENTS[3:]
    assert client.patches == [False, True, True, True, True, True]
    assert plain.patches == [False] * 6
    assert late.patches == [False, True, True]


@pytest.mark.parametrize(
    ("before", "after", "is_cut"),
    [("é", "è", True), ("日", "曰", True), ("😀", "😁", True), ("e", "é", False)],
)
def test_characters_of_several_bytes_survive(
    client: SdkClient, server: ServerProcess, stream: str, before: str, after: str, is_cut: bool
) -> None:
    """A patch that cuts one is not text, so JSON can not carry it (client protocol 7.3)."""
    texts = [f"{'left ' * 20}{middle}{' right' * 20}" for middle in (before, after, before, after * 3)]
    for text in texts:
        publish_text(server, stream, text)
    assert client.publications(stream, 4) == texts
    is_patch = client.sdk.encoding == "protobuf" or not is_cut
    assert client.patches == [False, is_patch, is_patch, is_patch]


@pytest.mark.parametrize("count", [3, 120])
def test_what_was_missed_is_recovered_as_changes(
    client: SdkClient, server: ServerProcess, cable: Cable, stream: str, count: int
) -> None:
    documents = [document(number) for number in range(count + 2)]
    server.publish(stream, documents[0])
    assert client.publications(stream, 1) == documents[:1]
    cable.pull()
    client.wait("subscribing", channel=stream)
    publish_all(server, stream, documents[1 : count + 1])
    cable.plug()
    client.wait("subscribed", channel=stream, recovered=True)
    assert client.publications(stream, count) == documents[1 : count + 1]
    server.publish(stream, documents[count + 1])
    assert client.publications(stream, 1) == documents[count + 1 :]
    assert client.patches[1:] == [False] + [True] * count


def test_after_a_recovery_of_nothing_all_can_be_applied(
    client: SdkClient, server: ServerProcess, cable: Cable, stream: str
) -> None:
    server.publish(stream, DOCUMENTS[0])
    assert client.publications(stream, 1) == DOCUMENTS[:1]
    cable.pull()
    client.wait("subscribing", channel=stream)
    cable.plug()
    client.wait("subscribed", channel=stream, recovered=True)
    publish_all(server, stream, DOCUMENTS[1:])
    assert client.publications(stream, 5) == DOCUMENTS[1:]


def test_the_publisher_may_ask_for_it(launch: Launch, server: ServerProcess, channel: str) -> None:
    stream = f"stream:{channel}"  # its namespace does not, by itself
    client = launch()
    client.connect()
    client.subscribe(stream, delta="fossil")
    publish_all(server, stream, DOCUMENTS[:3])
    publish_all(server, stream, DOCUMENTS[3:], delta=True)
    assert client.publications(stream, 6) == DOCUMENTS
    assert client.patches == [False, False, False, True, True, True]


def test_all_libraries_and_encodings_share_a_channel(
    launch_all: LaunchAll, server: ServerProcess, stream: str
) -> None:
    clients = launch_all()
    for client in clients:
        client.connect()
        client.subscribe(stream, delta="fossil")
    publish_all(server, stream, DOCUMENTS)
    for client in clients:
        assert client.publications(stream, 6) == DOCUMENTS
        assert client.patches == [False, True, True, True, True, True]


def test_changes_keep_tags_and_info(launch: Launch, server: ServerProcess, channel: str) -> None:
    stream = f"stream:{channel}"
    client = launch()
    client_id = client.connect()
    client.subscribe(stream, delta="fossil")
    client.call("publish", channel=stream, data=DOCUMENTS[0])
    publish_all(server, stream, DOCUMENTS[1:2], delta=True, tags={"colour": "grün"})
    assert client.wait("publication")["info"]["client"] == client_id
    changed = client.wait("publication")
    assert (changed["data"], changed["offset"], changed["tags"]) == (DOCUMENTS[1], 2, {"colour": "grün"})
    assert client.patches == [False, True]


def test_a_namespace_may_not_have_it(launch: Launch, server: ServerProcess, channel: str) -> None:
    client = launch()
    client.connect()
    client.subscribe(f"short:{channel}", delta="fossil")
    publish_all(server, f"short:{channel}", DOCUMENTS, delta=True)
    assert client.publications(f"short:{channel}", 6) == DOCUMENTS
    assert not any(client.patches)


def test_history_is_whole(launch: Launch, server: ServerProcess, channel: str) -> None:
    stream = f"stream:{channel}"
    client = launch()
    client.connect()
    client.subscribe(stream, delta="fossil")
    publish_all(server, stream, DOCUMENTS, delta=True)
    page = client.call("history", channel=stream, limit=-1)
    assert [publication["data"] for publication in page["publications"]] == DOCUMENTS
