import errno
import ipaddress
import os

from centrifast_loadgen.settings import CONNECTIONS_PER_SOURCE
from centrifast_loadgen.worker import describe_os_error, source_address


def test_source_addresses_are_loopback_and_each_has_a_bounded_number_of_connections() -> None:
    users: dict[str, int] = {}
    for number in range(0, 6_000_000, CONNECTIONS_PER_SOURCE // 4):
        address = source_address(number)
        assert ipaddress.ip_address(address).is_loopback
        users[address] = users.get(address, 0) + 1
    assert set(users.values()) == {4}


def test_an_error_of_the_machines_limits_says_what_to_do() -> None:
    assert "--processes" in describe_os_error(OSError(errno.EMFILE, "Too many open files"))
    assert "ip_local_port_range" in describe_os_error(OSError(errno.EADDRNOTAVAIL, "Cannot assign"))


def test_another_error_is_named() -> None:
    assert (
        describe_os_error(OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)))
        == "Connection refused"
    )
    assert describe_os_error(ConnectionResetError()) == "ConnectionResetError"
    assert describe_os_error(OSError(errno.ECONNREFUSED, "Connect call failed (...)")) == "Connection refused"
