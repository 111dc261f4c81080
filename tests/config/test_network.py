"""The tests leave this machine alone with itself, and would notice if they did not."""

import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_reaching_for_another_machine_fails_the_test(address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as line, pytest.raises(Exception, match=r"192\.0\.2\.1|2001:db8::1") as refusal:
        line.connect(address)
    assert type(refusal.value).__name__ == "NetworkUsed"


def test_this_machine_can_be_reached():
    with socket.socket() as server, socket.socket() as line:
        server.bind(("127.0.0.1", 0))
        server.listen()
        line.connect(server.getsockname())
