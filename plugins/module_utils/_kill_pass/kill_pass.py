# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill pass: ends the tree of a lease and nothing else, and reports on each process.

The phases are: freeze, and scan until a scan finds no new process; first signals; continue; wait;
KILL, and scan until nothing is left. A frozen process can't fork. So nothing escapes between the
moment when a process is found and the end of its parent.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import USUAL
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import Signaller
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    SUPERVISOR,
    TreeControl,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch
from ansible_collections.treekill.remote.plugins.module_utils._tree.signal_order import SignalOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_types import (
        HostReport,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

#: Seconds between two looks: the first and the longest pause. Each pause is half as long again as
#: the one before.
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.0005, 0.05
#: The longest pause while a process waits for its turn: until then a module goes on with its next
#: step.
LONGEST_CARRIED_PAUSE_SECONDS = 0.01
#: Seconds between two looks for a tree that has not appeared yet: the first and the longest pause.
SHORTEST_ARRIVAL_PAUSE_SECONDS, LONGEST_ARRIVAL_PAUSE_SECONDS = 0.01, 0.1
#: Seconds that processes have to end because their root is gone, if kill_children is false.
LINGER_SECONDS = 0.3
#: Seconds that a supervisor has to end when nothing is left. It takes milliseconds on a host that
#: gives it a turn.
LEAVE_SECONDS = 2.0


class KillPass:
    """One pass for one request, in three steps: find(), end(), report().

    grace_skipped: whether the grace period was cut short.
    prolong: is called before the wait for transactions, which may be long.
    leaves: whether a transaction was running when end() returned.
    """

    def __init__(self, request: "KillRequest", control: "TreeControl") -> None:
        self.request = request
        self.control = control
        self.refusal = ""
        self.grace_skipped = False
        self.leaves = False
        self.prolong: Callable[[], object] = bool  # does nothing
        self._clock = control.clock
        self._signal_order = SignalOrder(
            control, request.signal, request.children_signal, request.alone
        )
        self.began = request.began or self._clock()

    def skip_grace(self) -> None:
        """Skip the rest of the grace period: go over to KILL at the next look."""
        self.grace_skipped = True

    def find(self) -> bool:
        """Look for the tree for as long as the request says, and freeze it.

        Return whether anything was found, or may be there.
        """
        until = self._clock() + self.request.arrival_timeout
        pause = SHORTEST_ARRIVAL_PAUSE_SECONDS
        while True:
            began = self._clock()
            may_be_there = self.control.scan()
            if self.control.processes:
                self.control.freeze()
                return True
            now = self._clock()
            if now >= until:
                return may_be_there
            self._pause(max(pause, now - began), until)
            pause = min(pause * 1.5, LONGEST_ARRIVAL_PAUSE_SECONDS)

    def denied(self) -> bool:
        """Whether there is a process that this user may not signal."""
        return any(tracked.denied for tracked in self.control.living())

    def end(self) -> None:
        """End what find() found, and all other processes of the tree that appear meanwhile."""
        try:
            self.end_all()
            if self.control.mark_transactions():
                self.leaves = self.request.skip_grace
            if self.control.finishing() and not self.leaves:
                from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.finish import (  # noqa: E501
                    await_transactions,
                )

                await_transactions(self)
            self.control.resume_supervisors()
            supervised = any(
                tracked.role == SUPERVISOR for tracked in self.control.processes.values()
            )
            until = self._clock() + (LEAVE_SECONDS if supervised else LINGER_SECONDS)
            while (
                self.control.living()
                and not (self.control.targets() or self.control.finishing())
                and self._clock() < until
            ):
                self._pause(LONGEST_PAUSE_SECONDS / 10, until)
                self.control.observe_and_resume()
            self.control.dismiss()
            # A process that calls itself a supervisor was continued last. It may have started
            # something.
            if supervised and not self.control.finishing() and self.control.scan(last=True):
                from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sigkill import (  # noqa: E501
                    kill_the_rest,
                )

                kill_the_rest(self.control)
        finally:
            self.control.resume_supervisors()
        if any(tracked.job for tracked in self.control.processes.values()):
            from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.job_file import (  # noqa: E501
                report_ended_jobs,
            )

            report_ended_jobs(self.control.processes.values())
        if self.control.living():
            from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sigkill import (  # noqa: E501
                explain,
            )

            explain(self.control, self.refusal)

    def report(self) -> "HostReport":
        """Return what became of each process, in types that JSON has."""
        from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import (  # noqa: E501
            report,
        )

        return report(self.control, self.request, self.began)

    def end_all(self) -> None:
        """End all targets: with first signals, the grace period, and KILL."""
        self.control.grace_over = False
        self._first_signals()
        if not self._wait(self._clock() + self.request.timeout):
            from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sigkill import (  # noqa: E501
                kill_the_rest,
            )

            kill_the_rest(self.control)

    def look_for_transactions(self) -> None:
        """Let transactions be recognised, if the request leaves any to finish."""
        request, control = self.request, self.control
        if (request.finish or request.finish_modules) and control.table.method == "proc":
            from ansible_collections.treekill.remote.plugins.module_utils._tree.transactions import (  # noqa: E501
                MODULES,
                PROGRAMS,
                Transactions,
            )

            control.transactions = Transactions(
                control,
                PROGRAMS if request.finish == USUAL else request.finish,
                MODULES if request.finish_modules == USUAL else request.finish_modules,
            )

    def _first_signals(self) -> None:
        """Begin with the first signals, while every process is stopped."""
        if self.control.signalled is None:
            self.control.signalled = self.control.table.now()
            self.look_for_transactions()
        self.control.observe()
        self._signal_order.signal_due()

    def _wait(self, until: float) -> bool:
        """Wait for the targets to end, and give each its first signal when it is due.

        Return whether all are gone.

        A process that is started after this, by one that had its first signal, is left alone. A
        shell whose `trap` removes its temporary files does so by starting `rm`.
        """
        pause = SHORTEST_PAUSE_SECONDS
        known = -1
        while True:
            began = self._clock()
            self.control.observe_and_resume()
            self._signal_order.repeat_lost()
            targets = self.control.targets()
            waits = self.control.awaits_supervisors()
            if self.control.scan(last=waits or not targets):
                if any(
                    tracked.role == "root" and not tracked.loose
                    for tracked in self.control.unsignalled()
                ):
                    # The command has arrived a second time.
                    self.control.freeze()
                    self.control.observe()
                known = -1
            elif not targets:
                return True
            elif waits:
                self.control.resume_supervisors()
            finishing = len(self.control.finishing())
            self.control.mark_transactions()
            if len(self.control.finishing()) != finishing:
                known = -1
            living = len(self.control.living())
            if living != known:
                known, pause = living, SHORTEST_PAUSE_SECONDS
                self._signal_order.signal_due()
            now = self._clock()
            if now >= until or self.grace_skipped:
                return False
            # A scan of a large host takes time: the pass uses a quarter of a processor at most.
            self._pause(max(pause, 3 * (now - began)), until)
            pause = min(
                pause * 1.5,
                LONGEST_CARRIED_PAUSE_SECONDS
                if self.control.unsignalled() or self.control.finishing()
                else LONGEST_PAUSE_SECONDS,
            )

    def _pause(self, seconds: float, until: float) -> None:
        self.control.sleep(max(min(seconds, until - self._clock()), 0.0))


def process_table() -> "ProcessTable":
    """Return the process table of this host: of /proc, or of ps.

    Raises OSError if neither works.
    """
    table = ProcTable()
    if table.usable:
        return table
    if shows_others():
        raise OSError("/proc and ps show another pid namespace")
    from ansible_collections.treekill.remote.plugins.module_utils._process.ps import PsTable

    return PsTable()


def shows_others() -> bool:
    """Whether there is a /proc whose numbers mean other processes than those seen from here."""
    try:
        return os.readlink("/proc/self") != str(os.getpid())
    except OSError:
        return os.path.exists("/proc/1/stat")


def new_kill_pass(request: "KillRequest") -> "KillPass":
    """Return a pass on this host. Raises ValueError for a malformed run or lease id."""
    table = process_table()
    pid, leader, root = map(int, request.below.split(":")) if request.below else (0, 0, 0)
    search = TreeSearch(CookieMatch(request.run, request.lease, root), table, os.getpid())
    if pid:
        search.include_children_of(pid, leader)
    control = TreeControl(
        search,
        table,
        Signaller(table.process).send,
        time.monotonic,
        time.sleep,
        request.children,
        request.arguments,
    )
    return KillPass(request, control)
