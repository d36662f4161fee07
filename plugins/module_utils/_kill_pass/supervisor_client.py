# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill pass as client of its lease's supervisor.

The supervisor may be at work already. Or it has done the work, and keeps the report.
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

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
        KillPass,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

#: Seconds that a supervisor may take beyond the grace period. They are few: any process of the tree
#: can take the name, and send nothing.
PATIENCE_SECONDS = 3.0
#: Seconds to be accepted. A process that takes the name and accepts no connection thereby refuses
#: at once: see EAGAIN in connect(2).
CONNECT_SECONDS = 1


class SupervisorClient:
    """The supervisor of a lease.

    connection: to its socket.
    pid: its own.
    """

    def __init__(self, connection: "Any", pid: int, table: "ProcessTable") -> None:
        self._connection = connection
        self._pid = pid
        self._table = table

    @property
    def at_work(self) -> bool:
        """Whether it is ending the tree by itself, or has done so."""
        return not is_supervisor(self._table.arguments(self._pid))

    def await_report(
        self, seconds: float, skipped: "Callable[[], bool]", kill_pass: "Optional[KillPass]"
    ) -> str:
        """Return its report, as JSON, when it is done.

        The report is empty if the supervisor ends without one, or takes longer than this many
        seconds.

        kill_pass: looks for transactions that the supervisor leaves to finish. While there is one,
            the wait goes on.
        """
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.supervisor_report import (  # noqa: E501
            fetch_report,
        )

        return fetch_report(self._connection, self._pid, self._table, seconds, skipped, kill_pass)


def connect_supervisor(
    request: "KillRequest", table: "ProcessTable"
) -> "Optional[SupervisorClient]":
    """Return the supervisor of the request's lease; None if this user has none."""
    try:
        import _socket

        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(socket_name(request.run, request.lease))
        pid, uid = peer_of(connection)
    except (ImportError, AttributeError, OSError):
        return None
    # Any process can take the name. Its answers do not count, not even for root. The supervisor of
    # a lease runs as the same user as the pass.
    return SupervisorClient(connection, pid, table) if os.geteuid() == uid else None
