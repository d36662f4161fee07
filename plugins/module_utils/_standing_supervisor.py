# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A kill pass meets the supervisor of its lease: it may be at work already, or have done the work and kept the report.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._supervisor_name import SUPERVISOR_TITLE
from ansible_collections.treekill.remote.plugins.module_utils._supervisor_socket import socket_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._kill_request import KillRequest
    from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcessTable

ENDING_TITLE = "treekill: ending the tree"
# Seconds that a supervisor may take beyond the grace. Not longer: any process of the tree can take the name, and say nothing.
PATIENCE_SECONDS = 3.0
# Seconds to be let in. Who has taken the name and lets nobody in, refuses by that at once: see EAGAIN in connect(2).
CONNECT_SECONDS = 1


def is_supervisor(arguments: "List[bytes]") -> "bool":
    """Whether a command line is that of a supervisor. Anybody can write that: see TreeControl for what else is asked."""
    return bool(arguments) and arguments[0].startswith(SUPERVISOR_TITLE.encode())


def names_its_lease(arguments: "List[bytes]", environment: "bytes") -> "bool":
    """Whether a supervisor's title names the run and the lease of the cookie that it carries."""
    title = arguments[0][len(SUPERVISOR_TITLE) :]
    # " of run 0123456789abcdef, lease 89abcdef", see Supervisor.watch()
    cookie = b"\0TREEKILL=%s/%s/" % (title[8:24], title[32:40])
    return title[:8] == b" of run " and title[24:32] == b", lease " and cookie in b"\0" + environment


def peer_of(connection: "Any") -> "Tuple[int, int]":
    """(pid, uid) of who is at the other end, as the kernel tells it: see SO_PEERCRED in unix(7)."""
    import _socket
    import sys

    raw = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(raw[:4], sys.byteorder), int.from_bytes(raw[4:8], sys.byteorder)


class StandingSupervisor:
    """The supervisor of a lease. connection: to its socket. pid: its own."""

    def __init__(self, connection: "Any", pid: "int", table: "ProcessTable") -> "None":
        self._connection = connection
        self._pid = pid
        self._table = table

    @property
    def at_work(self) -> "bool":
        """Whether it is ending the tree by itself, or has done so."""
        return not is_supervisor(self._table.arguments(self._pid))

    def await_report(self, seconds: "float", hurried: "Callable[[], bool]") -> "str":
        """Its report, as JSON, when it is done; empty if it ends without one, or takes longer than so many seconds."""
        from ansible_collections.treekill.remote.plugins.module_utils._supervisor_report import fetch

        return fetch(self._connection, self._pid, self._table, seconds, hurried)


def standing_supervisor(request: "KillRequest", table: "ProcessTable") -> "Optional[StandingSupervisor]":
    """The supervisor of the lease that the request names, None where there is none of this user."""
    try:
        import _socket

        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(socket_name(request.run, request.lease))
        pid, uid = peer_of(connection)
    except (ImportError, AttributeError, OSError):
        return None
    # The name can be taken by anybody, whose word counts for nothing, for root neither. A supervisor of ours runs as the same user as the pass.
    return StandingSupervisor(connection, pid, table) if os.geteuid() == uid else None
