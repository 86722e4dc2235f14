"""History through the client libraries (client protocol 3.8)."""

import pytest

from tests.sdk.conftest import Launch, publish_all
from tests.sdk.driver import SdkClient
from tests.server_process import ServerProcess

COUNT = 10


@pytest.fixture
def stream(channel: str, server: ServerProcess) -> str:
    """A channel with ``COUNT`` publications, numbered from 1 as their offsets are."""
    publish_all(server, f"stream:{channel}", range(1, COUNT + 1))
    return f"stream:{channel}"


@pytest.fixture
def client(launch: Launch, stream: str) -> SdkClient:
    """A subscriber, who may read history."""
    client = launch()
    client.connect()
    client.subscribe(stream)
    return client


def test_without_a_limit_there_is_only_the_position(client: SdkClient, stream: str) -> None:
    page = client.call("history", channel=stream)
    assert (page["publications"], page["offset"]) == ([], COUNT)
    assert page["epoch"]


def test_a_negative_limit_means_all(client: SdkClient, stream: str) -> None:
    page = client.call("history", channel=stream, limit=-1)
    wanted = [{"data": number, "offset": number} for number in range(1, COUNT + 1)]
    assert page["publications"] == wanted


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_pages_cover_the_stream(client: SdkClient, stream: str, reverse: bool) -> None:
    seen: list[int] = []
    options: dict[str, object] = {"limit": 3, "reverse": reverse}
    while True:
        page = client.call("history", channel=stream, **options)
        if not page["publications"]:
            break
        assert len(page["publications"]) <= 3
        seen += [publication["data"] for publication in page["publications"]]
        if seen[-1] == (1 if reverse else COUNT):
            break
        last = page["publications"][-1]["offset"]
        options["since"] = {"offset": last, "epoch": page["epoch"]}
    wanted = list(range(1, COUNT + 1))
    assert seen == (wanted[::-1] if reverse else wanted)


def test_since_leaves_out_the_position_itself(client: SdkClient, stream: str) -> None:
    epoch = client.call("history", channel=stream)["epoch"]
    page = client.call("history", channel=stream, limit=-1, since={"offset": 7, "epoch": epoch})
    assert [publication["offset"] for publication in page["publications"]] == [8, 9, 10]


def test_another_epoch_can_not_be_continued(client: SdkClient, stream: str) -> None:
    client.command("history", channel=stream, limit=1, since={"offset": 1, "epoch": "other"})
    client.wait("failed", code=112)


def test_it_may_be_off(client: SdkClient, channel: str) -> None:
    client.command("history", channel=channel, limit=1)
    client.wait("failed", code=108)


def test_it_is_for_subscribers_where_the_namespace_says_so(client: SdkClient, channel: str) -> None:
    client.command("history", channel=f"stream:{channel}-other", limit=1)
    client.wait("failed", code=103)
