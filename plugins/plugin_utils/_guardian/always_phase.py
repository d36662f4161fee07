# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phase of an interrupted run in which its `always` sections run, as the guardian sees it.

First the trees in flight are ended. Then the gate is open for tasks of `always` sections alone.
"""

from __future__ import annotations

import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    AlwaysAnswer,
    UnconfirmedTree,
    answer_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.connections import (
        ClientConnection,
        ClientConnections,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.local_processes import (
        LocalProcesses,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.reporter import (
        RunReporter,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import (
        Dispatcher,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import LeaseTable

#: With these outcomes no process of the command is alive that its task has to answer for.
_CLEAR = (Outcome.NOT_BEGUN, Outcome.BROKEN_OFF, Outcome.LEFT)


_ALIVE_HERE = "a process that its task has started on the controller has not ended"


class AlwaysPhase:
    """That phase: from the interruption to the end of the run, or to a second interruption.

    The guardian's loop calls every method.
    """

    def __init__(
        self,
        page: RunPage,
        leases: LeaseTable,
        *,
        connections: ClientConnections,
        local: LocalProcesses,
        dispatcher: Dispatcher,
        reporter: RunReporter,
    ) -> None:
        self._page = page
        self._leases = leases
        self._connections = connections
        self._local = local
        self._idle = local.idle
        self._dispatcher = dispatcher
        self._reporter = reporter
        local.idle.on_ends = self.open_if_tried
        #: Whether the run goes on with its `always` sections.
        self.is_on = False
        #: Whether their tasks get leases.
        self.is_open = False
        #: The leases that the interruption has broken, and those without a result before it.
        self._broken: frozenset[str] = frozenset()
        #: The main process, which waits for an answer.
        self._asking: list[tuple[ClientConnection, int | None]] = []

    def begin(self) -> None:
        """Begin with the interruption. Workers are resumed, so that they return results."""
        self.is_on = self._local.resumes = True

    def take_over(self) -> None:
        """Begin in place of a guardian that was lost after it had opened the gate."""
        self.is_on = True
        self._open()

    def note_broken(self) -> None:
        """Note the leases under which something was in flight. Called before they are broken."""
        self._broken = frozenset(
            lease.lease for lease in (*self._leases.opened, *self._leases.unclosed)
        )

    def ask(self, connection: ClientConnection, number: int | None) -> None:
        """Answer this request of the main process when each kill order was tried."""
        self._asking.append((connection, number))
        if self.is_on:
            self.open_if_tried()
        else:
            self._answer(AlwaysAnswer(granted=False))

    def open_if_tried(self) -> None:
        """Open the gate, and tell the main process.

        Does nothing before each kill order was tried, the main process is ready, and what workers
        had started here is gone.
        """
        if not self.is_on or not self._asking or self._dispatcher.untried or self._idle.awaits_ends:
            return
        self._open()
        results = [
            *self._leases.closed,
            *((lease, self._reporter.without_result(lease)) for lease in self._leases.unclosed),
        ]
        self._answer(
            AlwaysAnswer(
                granted=True,
                unconfirmed=(
                    *(
                        UnconfirmedTree(lease.worker, lease.host, _doubt(result))
                        for lease, result in results
                        if lease.lease in self._broken and _doubt(result)
                    ),
                    *(
                        UnconfirmedTree(worker.pid, "", _ALIVE_HERE)
                        for worker in self._idle.alive.values()
                    ),
                ),
            )
        )

    def end(self) -> None:
        """Grant no more leases to tasks of `always` sections."""
        self.is_on = self.is_open = self._local.resumes = False
        self._answer(AlwaysAnswer(granted=False))

    def _open(self) -> None:
        self.is_open = True
        self._leases.open_gate_for_always()
        self._page.open_gate_for_always()

    def _answer(self, answer: AlwaysAnswer) -> None:
        asking, self._asking = self._asking, []
        for connection, number in asking:
            self._connections.reply(connection, answer_frame(answer, number))


def _doubt(result: LeaseResult) -> str:
    """Return why a process of the tree may be alive, in words for the user; empty if none is."""
    if result.report is not None:
        if result.report.finishing:
            return "a transaction of its task was left to finish"
        survivors = len(result.report.survivors)
        if survivors == 1:
            return "1 process of its task has survived"
        return f"{survivors} processes of its task have survived" if survivors else ""
    if result.outcome in _CLEAR:
        return ""
    return f"the end of its task is not confirmed ({' '.join(result.reason.split())})"
