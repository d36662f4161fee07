# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A kill pass meets the supervisor of its lease: it may be at work already, or have done the work and kept the report.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_socket import (
    peer_of,
    socket_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_title import (
    is_supervisor,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

#: Seconds that a supervisor may take beyond the grace. Not longer: any process of the tree can take the name, and say nothing.
PATIENCE_SECONDS = 3.0
#: Seconds to be let in. Who has taken the name and lets nobody in, refuses by that at once: see EAGAIN in connect(2).
CONNECT_SECONDS = 1


class StandingSupervisor:
    """The supervisor of a lease. connection: to its socket. pid: its own."""

    def __init__(self, connection: "Any", pid: int, table: "ProcessTable") -> None:
        self._connection = connection
        self._pid = pid
        self._table = table

    @property
    def at_work(self) -> bool:
        """Whether it is ending the tree by itself, or has done so."""
        return not is_supervisor(self._table.arguments(self._pid))

    def await_report(self, seconds: float, skipped: "Callable[[], bool]") -> str:
        """Its report, as JSON, when it is done; empty if it ends without one, or takes longer than so many seconds."""
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.supervisor_report import (
            fetch_report,
        )

        return fetch_report(self._connection, self._pid, self._table, seconds, skipped)


def standing_supervisor(
    request: "KillRequest", table: "ProcessTable"
) -> "Optional[StandingSupervisor]":
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
