# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill pass: ends the tree of a lease and nothing else, and says what became of each process.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.

Freeze and scan until a scan finds nobody new; first signals; continue; wait; KILL and scan until nobody is left.
What is frozen can't fork, so nothing slips away between finding a process and ending its parent.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._cookie import CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._kill_report import Fate, report
from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._process_tree import TreeSearch
from ansible_collections.treekill.remote.plugins.module_utils._signals import Signaller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    from ansible_collections.treekill.remote.plugins.module_utils._kill_request import KillRequest
    from ansible_collections.treekill.remote.plugins.module_utils._process_table import Process, ProcessId

SIGKILL, SIGCONT, SIGSTOP = 9, 18, 19
if os.uname()[0] != "Linux":
    import signal

    SIGCONT, SIGSTOP = int(signal.SIGCONT), int(signal.SIGSTOP)

# Seconds that a tree may keep the freeze busy by forking; one that outruns it for so long has to be met by KILL.
FREEZE_SECONDS = 2.0
# Seconds to let a stop arrive at a process that is running in the kernel; what takes longer is waiting for a device.
STOP_SECONDS = 0.05
# Seconds after the first KILL until what is still there is given up: time for a large process to be taken apart, or a disk to answer.
KILL_SECONDS = 5.0
# Seconds that processes which only lose their root (kill_children is false) have to end because of it.
LINGER_SECONDS = 0.3
# Seconds between two looks: the first and the longest pause. Each is half as long again as the one before.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
SHORTEST_SETTLE, LONGEST_SETTLE = 0.01, 0.1


class KillPass:
    """One pass for one request. What reads the process table, sends signals and tells the time is given."""

    def __init__(
        self,
        request: "KillRequest",
        search: "TreeSearch",
        table: "ProcTable",
        send: "Callable[[ProcessId, int], None]",
        clock: "Callable[[], float]" = time.monotonic,
        sleep: "Callable[[float], None]" = time.sleep,
    ) -> "None":
        self.request = request
        self.fates = {}  # type: Dict[ProcessId, Fate]
        self.refusal = ""
        self._search = search
        self._table = table
        self._send = send
        self._clock = clock
        self._sleep = sleep
        self._began = request.began or clock()
        self._above = []  # type: List[Process]
        self._killing = False
        self._seconds = 0.0

    def find(self) -> "bool":
        """Look for the tree for as long as the request says, and freeze it. Whether anything was found."""
        until = self._clock() + self.request.settle
        pause = SHORTEST_SETTLE
        self._search.take(self.request.found)
        while True:
            began = self._clock()
            self._scan()
            now = self._clock()
            if self.fates:
                self._freeze()
                return True
            if now >= until:
                return False
            self._sleep(min(max(pause, now - began), max(until - now, 0.0)))
            pause = min(pause * 1.5, LONGEST_SETTLE)

    def denied(self) -> "List[Fate]":
        """The living that we must not signal."""
        return [fate for fate in self._living() if fate.denied]

    def end(self) -> "None":
        """End what find() found, and whatever of the tree turns up meanwhile."""
        try:
            self._first_signals()
            if not self._wait(self._clock() + self.request.timeout):
                self._kill()
            if not self.request.children:
                self._linger()
        finally:
            self.wake()
        self._explain()

    def wake(self) -> "None":
        """Continue what stands above the tree and stopped because of us: sudo and su stop themselves when their command is stopped."""
        for process in self._above:
            now = self._table.process(process.id.pid)
            if now is not None and now.id == process.id and now.stopped:
                self._try(process.id, SIGCONT)

    def report(self) -> "Dict[str, Any]":
        spares = [Fate(process, "child") for process in self._search.spares.values()]
        for fate in spares:
            fate.describe(self._table, self.request.arguments)
        seconds = self._clock() - self._began
        return report(self._table.method, self.fates.values(), spares, self._search.unreadable, bool(self.request.found), seconds)

    # -- finding and freezing

    def _scan(self, complete: "bool" = False) -> "List[Fate]":
        """Find new members and stop them at once, parents before children."""
        self._search.scan(complete)
        new = []
        for process in list(self._search.members.values())[len(self.fates):]:
            fate = Fate(process, "root" if process.id in self._search.roots else "child")
            fate.late = self._killing
            self.fates[process.id] = fate
            new.append(fate)
            if self._is_target(fate) and self._may_freeze(fate):
                self._signal(fate, SIGSTOP)
        for fate in new:
            fate.describe(self._table, self.request.arguments)
        return new

    def _may_freeze(self, fate: "Fate") -> "bool":
        """Not if the parent is none of ours and could stop itself because of it without our being able to wake it."""
        process = fate.process
        if any(known.pid == process.ppid for known in self.fates):
            return True
        above = self._search.above(process)
        if above and not self._try(above[0].id, 0):
            return False
        self._above.extend(parent for parent in above if not parent.stopped)
        return True

    def _freeze(self) -> "None":
        """Scan until a scan finds nobody new and everybody stands still: a fork that had begun before the stop still comes to its end."""
        until = self._clock() + FREEZE_SECONDS
        still_until = self._clock() + STOP_SECONDS
        while self._clock() < until:
            moving = self._moving()
            if self._scan():
                still_until = self._clock() + STOP_SECONDS
            elif not moving or self._clock() >= still_until:
                return
            else:
                self._sleep(SHORTEST_PAUSE / 2)

    def _moving(self) -> "bool":
        for fate in self._living():
            if self._is_target(fate) and not fate.denied:
                process = self._table.process(fate.process.id.pid)
                if process is not None and process.id == fate.process.id and process.state in "RS":
                    return True
        return False

    # -- ending

    def _is_target(self, fate: "Fate") -> "bool":
        return self.request.children or fate.role == "root"

    def _living(self) -> "List[Fate]":
        return [fate for fate in self.fates.values() if fate.ended is None]

    def _targets(self) -> "List[Fate]":
        return [fate for fate in self._living() if self._is_target(fate)]

    def _first_signals(self) -> "None":
        """Signal those that had none yet, while they stand still, then let them go on: children first, for a sudo that sees its
        command stopped when it wakes stops itself again."""
        new = [fate for fate in self._targets() if not fate.sent]
        for fate in new:
            self._signal(fate, self.request.signal if fate.role == "root" else self.request.children_signal)
        for fate in reversed(new):
            self._signal(fate, SIGCONT)
        self.wake()

    def _wait(self, until: "float") -> "bool":
        """Wait for the targets to end, and give newcomers their signal. Whether all are gone."""
        pause = SHORTEST_PAUSE
        while True:
            began = self._clock()
            self._look()
            targets = self._targets()
            if self._scan(complete=not targets):
                self._freeze()
                self._first_signals()
            elif not targets:
                return True
            now = self._clock()
            if now >= until:
                return False
            # a scan of a large host takes its time: at most a quarter of the processor is ours
            self._sleep(min(max(pause, 3 * (now - began)), until - now))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _look(self) -> "None":
        """Note who is gone. Who stands stopped again is woken: nobody else will."""
        now = self._clock() - self._began
        for fate in self._living():
            process = self._table.process(fate.process.id.pid)
            if process is None or process.id != fate.process.id or not process.alive:
                fate.ended = now
            elif process.stopped and fate.sent and fate.sent != SIGKILL:
                self._signal(fate, SIGCONT)
        self.wake()

    def _kill(self) -> "None":
        """KILL, and scan until nobody is left: frozen first, for what can still run when its parent dies can fork."""
        self._killing = True
        until = self._clock() + KILL_SECONDS
        pause = SHORTEST_PAUSE
        while True:
            for fate in self._targets():
                if fate.sent != SIGKILL and not fate.denied:
                    self._signal(fate, SIGSTOP)
            self._freeze()
            spared = self._shielding()
            for fate in self._targets():
                if fate.process.id not in spared and not fate.denied and fate.sent != SIGKILL:
                    self._signal(fate, SIGKILL)
            for fate in self._targets():
                if fate.process.id in spared:
                    self._signal(fate, SIGCONT)
            self._look()
            left = [fate for fate in self._targets() if not fate.denied and fate.process.id not in spared]
            if not left and not self._scan(complete=True) or self._clock() >= until:
                return
            self._sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _shielding(self) -> "Dict[ProcessId, int]":
        """Who must not get KILL, and because of which pid below it: sudo that is killed can't pass a signal on any more, and its command,
        which we must not signal, would live on as an orphan."""
        shielding = {}  # type: Dict[ProcessId, int]
        by_pid = {fate.process.id.pid: fate for fate in self._living()}
        for fate in self.denied():
            pid = fate.process.id.pid
            process = self._table.process(pid)
            while process is not None and process.ppid in by_pid:
                above = by_pid[process.ppid].process.id
                if above in shielding:
                    break
                shielding[above] = pid
                process = self._table.process(above.pid)
        return shielding

    def _linger(self) -> "None":
        until = self._clock() + LINGER_SECONDS
        while self._living() and self._clock() < until:
            self._sleep(SHORTEST_PAUSE * 5)
            self._look()

    def _signal(self, fate: "Fate", signal: "int") -> "None":
        try:
            self._send(fate.process.id, signal)
        except ProcessLookupError:
            if fate.ended is None:
                fate.ended = self._clock() - self._began
            return
        except PermissionError:
            fate.denied = True
            return
        if signal not in (SIGSTOP, SIGCONT):
            fate.sent = signal

    def _try(self, process: "ProcessId", signal: "int") -> "bool":
        try:
            self._send(process, signal)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    # -- explaining

    def _explain(self) -> "None":
        shielding = self._shielding()
        for fate in self._living():
            process = self._table.process(fate.process.id.pid)
            if not self._is_target(fate):
                fate.reason = "left: kill_children is false"
            elif fate.denied:
                fate.reason = "not permitted" + self.refusal
            elif fate.process.id in shielding:
                fate.reason = "not killed: pid %d below it may not be signalled and would live on as an orphan" % shielding[fate.process.id]
            elif process is not None and process.state == "D":
                fate.reason = "uninterruptible (state D)"
            elif fate.late:
                fate.reason = "still starting new processes %g s after KILL" % KILL_SECONDS
            else:
                fate.reason = "still there %g s after KILL (state %s)" % (KILL_SECONDS, process.state if process is not None else "?")


def new_kill_pass(request: "KillRequest") -> "KillPass":
    """A pass on this host. Raises ValueError for a run or lease that is none."""
    table = ProcTable()
    search = TreeSearch(CookieMatch(request.run, request.lease), table, os.getpid())
    return KillPass(request, search, table, Signaller(table.process).send)
