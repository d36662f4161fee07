# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The socket of a lease: who has it is the supervisor that ends the lease's tree, and keeps the report for a kill pass.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Tuple


def socket_name(run: str, lease: str) -> str:
    """The address of the lease's supervisor, in the abstract namespace of Linux: no file, and gone with its last holder."""
    return "\0treekill/%s/%s" % (run, lease)


def listen_at(address: str) -> "Any":
    """A listening socket; at any address that is free for an empty one. Raises OSError where the address is taken, or there are no such sockets."""
    try:
        import _socket

        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    except (ImportError, AttributeError) as error:
        raise OSError(str(error))  # noqa: B904 - the cause says it all
    listener.bind(address)
    listener.listen(8)
    return listener


def listen_for(run: str, lease: str) -> "Any":
    """A listening socket of that lease. Where its name is taken, one that is found by no name; None where there is none to be had."""
    for address in (socket_name(run, lease), ""):
        try:
            return listen_at(address)
        except OSError:
            pass  # the second try says whether it was the name
    return None


def peer_of(connection: "Any") -> "Tuple[int, int]":
    """(pid, uid) of who is at the other end, as the kernel tells it: see SO_PEERCRED in unix(7)."""
    import _socket
    import sys

    raw = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(raw[:4], sys.byteorder), int.from_bytes(raw[4:8], sys.byteorder)
