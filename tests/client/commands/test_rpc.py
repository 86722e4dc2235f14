"""rpc: server specification 4.5."""

import pytest

from centrifast import errors
from centrifast.config.schema import RpcConfig, RpcPingConfig
from centrifast.protocol.wire import Command, Encoding, Reply, RPCRequest, RPCResult
from tests.client.conftest import Serve
from tests.client.fakes import Server, config, error

BOTH = pytest.mark.parametrize("encoding", Encoding)


def rpc(id_: int, method: str) -> Command:
    return Command(id=id_, rpc=RPCRequest(method=method))


@pytest.mark.parametrize("method", ["", "getTime", "ns:getTime", "ping"])
@BOTH
def test_without_a_backend_nothing_is_available(server: Server, method: str, encoding: Encoding) -> None:
    assert server.connect(encoding).ask(rpc(2, method)) == [error(2, errors.NOT_AVAILABLE)]


@BOTH
def test_the_built_in_ping_answers_with_an_empty_result_and_is_the_only_method(
    serve: Serve, encoding: Encoding
) -> None:
    server = serve(config(rpc=RpcConfig(ping=RpcPingConfig(enabled=True, method="alive"))))
    client = server.connect(encoding)
    replies = client.ask(rpc(2, "alive"), rpc(3, "ping"), rpc(4, "ns:alive"))
    assert replies == [
        Reply(id=2, rpc=RPCResult()),
        error(3, errors.METHOD_NOT_FOUND),
        error(4, errors.METHOD_NOT_FOUND),
    ]
