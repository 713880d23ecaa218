"""A listener that is closed loses no connection."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from tidegate.errors import DataError
from tidegate.serving.listener import listen, refuse_new, waiting


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    try:
        found = listen(request.param, 0)
    except DataError as fault:
        pytest.skip(f"this machine has no such address: {fault}")
    with closing(found):
        yield found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has the filter")
def test_who_has_a_connection_keeps_it_and_nobody_else_gets_one(listener: socket.socket) -> None:
    address = listener.getsockname()[:2]
    with socket.create_connection(address) as first, socket.create_connection(address) as second:
        refuse_new(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.3)
        first.sendall(b"ask")
        taken = waiting(listener)
        assert len(taken) == 2
        assert waiting(listener) == []
        listener.close()
        second.sendall(b"ask")
        for connection in taken:
            with closing(connection):
                assert connection.recv(3) == b"ask"
                connection.sendall(b"answer")
        assert first.recv(6) == second.recv(6) == b"answer"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
