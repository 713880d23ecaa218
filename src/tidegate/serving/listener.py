"""The socket that clients connect to: opened, and closed without losing a connection.

Knows nothing of HTTP, or of workers.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys

from tidegate.errors import DataError

BACKLOG = 2_048

_SO_ATTACH_FILTER = 26  # Linux's socket(7); Python's socket module has no name for it
_TCP_FLAGS = 13  # the offset of the byte with the flags in a TCP header (RFC 9293, section 3.1)
_SYN, _ACK = 0x02, 0x10
# A classic BPF program (Linux's networking/filter.rst). Each step is (code, steps to skip if true,
# steps to skip if false, value). A result of 0 drops the packet; another is the bytes to keep.
_DROP_SYN = (
    (0x30, 0, 0, _TCP_FLAGS),  # load the byte
    (0x54, 0, 0, _SYN | _ACK),  # keep two of its bits
    (0x15, 0, 1, _SYN),  # does it ask for a new connection?
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    DataError
        The address is taken, or is not one of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(BACKLOG)
        found.setblocking(False)
    except (OSError, OverflowError) as fault:
        why = getattr(fault, "strerror", None) or fault
        raise DataError(f"{host}:{port}: {why}; choose another --port, or --host") from None
    return found


def refuse_new(listener: socket.socket) -> None:
    """Let no new connection begin, while those that have begun can still be accepted.

    To close a listener resets the connections that the system has established and nobody has
    accepted, and one may be established between the last look and the close. So Linux is told to
    drop the packets that ask for a connection. The client asks again after a second, and is refused
    once the listener is closed. Other systems have no such filter; there this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    program = b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN)
    kept = ctypes.create_string_buffer(program, len(program))  # the system reads it by address
    described = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(kept))
    with contextlib.suppress(OSError):  # a system that has no filters
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def waiting(listener: socket.socket) -> list[socket.socket]:
    """Accept and return the connections that nobody has accepted yet."""
    found: list[socket.socket] = []
    with contextlib.suppress(OSError):  # BlockingIOError: there are no more
        while True:
            found.append(listener.accept()[0])
    return found
