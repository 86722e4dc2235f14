"""Between a connection and its session: how a session closes."""

import pytest

from centrifast import errors
from centrifast.client.transport import ClientTransport, close_with
from centrifast.errors import DISCONNECTS, DisconnectCode
from tests.client.fakes import Server


@pytest.mark.parametrize("disconnect", DISCONNECTS, ids=lambda row: str(row.code))
def test_a_row_of_the_table_becomes_code_and_reason(server: Server, disconnect: DisconnectCode) -> None:
    client = server.open()
    transport: ClientTransport = client.transport
    close_with(transport, disconnect)
    assert client.closed_with == disconnect
    assert client.transport.flushed


def test_what_is_queued_is_dropped_on_demand(server: Server) -> None:
    client = server.open()
    close_with(client.transport, errors.SLOW, flush=False)
    assert not client.transport.flushed
