# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The socket of a lease: it belongs to the supervisor that ends the lease's tree.

The supervisor keeps its report there for a kill pass.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Tuple


def socket_name(run: str, lease: str) -> str:
    """Return the address of the lease's supervisor, in the abstract namespace of Linux.

    Such an address is no file, and goes with its last holder.
    """
    return "\0treekill/%s/%s" % (run, lease)


def listen_at(address: str) -> "Any":
    """Return a listening socket; for an empty address at any free one.

    Raises OSError if the address is taken, or if there are no such sockets.
    """
    try:
        import _socket

        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    except (ImportError, AttributeError) as error:
        raise OSError(str(error))  # noqa: B904 - the text has the cause
    listener.bind(address)
    listener.listen(8)
    return listener


def listen_for(run: str, lease: str) -> "Any":
    """Return a listening socket of that lease; None if there is none.

    If its name is taken, the socket has no name by which it could be found.
    """
    for address in (socket_name(run, lease), ""):
        try:
            return listen_at(address)
        except OSError:
            pass  # the second try shows whether it was the name
    return None


def peer_of(connection: "Any") -> "Tuple[int, int]":
    """Return (pid, uid) of the process at the other end: see SO_PEERCRED in unix(7)."""
    import _socket
    import sys

    raw = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(raw[:4], sys.byteorder), int.from_bytes(raw[4:8], sys.byteorder)
