# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Holds a tree: finds its members, stops them, signals them, and keeps account of what became of each.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_title import (
    is_supervisor,
    names_its_lease,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
from ansible_collections.treekill.remote.plugins.module_utils._process.priority import FirstTurn
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SIGCONT,
    SIGKILL,
    SIGSTOP,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessId,
        ProcessTable,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch

#: Seconds that a tree may keep the freeze busy by forking; one that outruns it for so long has to be met by KILL.
FREEZE_SECONDS = 2.0
#: Seconds to let a stop arrive at a process that runs in the kernel; what takes longer waits for a device.
STOP_SECONDS = 0.05
#: Seconds after which a scan that decides is over, though processes went on to vanish before they could be read: a host may just be busy.
CHASE_SECONDS = 0.3
#: A host may also be so busy that in this time we have hardly looked: so many looks it has to be, within so many seconds.
CHASE_LOOKS, LONGEST_CHASE_SECONDS = 12, 3.0
#: Characters of a command line that are reported: enough to recognise it, little enough for 500 of them in one line.
COMMAND_CHARACTERS = 240
#: Role of a supervisor of ours. It stays until the rest is gone, for an orphan without it belongs to nobody; then it goes by itself.
SUPERVISOR = "supervisor"


def joined(words: "List[bytes]") -> bytes:
    """A command line: by blanks, or by NUL where a word is empty or has blanks of its own. See _masked_words.mask_command."""
    text = b" ".join(words)
    return text if text.split() == words else b"\0".join(words)


class TrackedProcess:
    """A process of the tree and what becomes of it.

    process: as it was when it was found. role: C(root), C(child) or C(supervisor). user: its effective uid. sent: the last signal that it got, 0 for none
    (stop and continue do not count). ended: on the clock, None while it lives. denied: we must not signal it. late: found after the grace.
    cleans: started by a process that has had its first signal, perhaps to clean up: let be until the grace is over.
    ppid, comm, stopped: as last seen. loose: whether it was let go on after the freeze. held: whether it stands still until what it waits for is gone.
    job: of a process that watches an asynchronous job of core's, the id of that and then the environment; empty for all others.
    """

    __slots__ = (
        "process",
        "role",
        "user",
        "command",
        "sent",
        "ended",
        "denied",
        "late",
        "cleans",
        "reason",
        "job",
        "ppid",
        "comm",
        "stopped",
        "loose",
        "held",
    )

    def __init__(self, process: "Process", role: str) -> None:
        self.process = process
        self.role = role
        self.user: Optional[int] = None
        self.command = ""
        self.sent = 0
        self.ended: Optional[float] = None
        self.denied = False
        self.late = False
        self.cleans = False
        self.reason = ""
        self.job: List[bytes] = []
        self.ppid = process.ppid
        self.comm = process.comm
        self.stopped = False
        self.loose = False
        self.held = False

    def observe(self, process: "Process") -> None:
        """Note how it stands now."""
        self.ppid, self.comm, self.stopped = process.ppid, process.comm, process.stopped

    def describe(self, table: "ProcessTable", arguments: bool) -> None:
        """Note user and command line, while the process still has them: once it has ended they may be those of another one."""
        pid = self.process.id.pid
        user = table.effective_uid(pid)
        words = table.arguments(pid)
        job = (
            words[2:3] + table.environment(pid).split(b"\0")
            if len(words) > 4 and words[1][-17:] == b"/async_wrapper.py"
            else []
        )
        now = table.process(pid)
        still = now is not None and now.id == self.process.id
        self.user, self.job, words = (user, job, words) if still else (self.user, self.job, [])
        self.command = (
            joined(words)[: 4 * COMMAND_CHARACTERS].decode("utf-8", "replace")[:COMMAND_CHARACTERS]
            if arguments
            else self.process.comm
        )
        if not self.command:
            self.command = "[" + self.process.comm + "]"


class TreeControl:
    """A tree in our hands. What reads the process table, sends signals and tells the time is given.

    processes: of all that was ever found, parents before children. late: whether the grace is over. signalled: when it began, as the table tells start times.
    """

    def __init__(  # noqa: PLR0917 - all that it works with, named by who calls
        self,
        search: "TreeSearch",
        table: "ProcessTable",
        send: "Callable[[ProcessId, int], None]",
        clock: "Callable[[], float]",
        sleep: "Callable[[float], None]",
        children: bool = True,
        arguments: bool = True,
    ) -> None:
        self.processes: Dict[ProcessId, TrackedProcess] = {}
        self.late = False
        self.signalled: Optional[int] = None
        self.search = search
        self.table = table
        self.clock = clock
        self.sleep = sleep
        self.send = send
        self._children = children
        self._arguments = arguments
        self._above: List[Process] = []

    def is_target(self, tracked: "TrackedProcess") -> bool:
        """Whether a process is to be ended, or only watched."""
        return tracked.role != SUPERVISOR and (self._children or tracked.role == "root")

    def living(self) -> "List[TrackedProcess]":
        """The processes that have not ended."""
        return [tracked for tracked in self.processes.values() if tracked.ended is None]

    def targets(self) -> "List[TrackedProcess]":
        """The living processes that the request asks to end."""
        return [tracked for tracked in self.living() if self.is_target(tracked)]

    def scan(self, last: bool = False) -> bool:
        """Find new members and stop them at once, parents before children. Whether there was anybody, caught or not.

        last: whether nobody is known to be left, so that this scan decides.
        """
        self.search.scan(last)
        if self._stop_new():
            return True
        if not (self.search.vanished or self.search.missed) or self.processes and not last:
            return False
        from ansible_collections.treekill.remote.plugins.module_utils._tree.fork_chase import chase

        began, looks = self.clock(), 0
        with FirstTurn():
            while True:
                chase(self)
                if self._stop_new():
                    return True
                looks += 1
                spent = self.clock() - began
                if (
                    spent >= LONGEST_CHASE_SECONDS
                    or spent >= CHASE_SECONDS
                    and looks >= CHASE_LOOKS
                ):
                    return self.search.missed > 0
                self.search.scan(last)
                if self._stop_new():
                    return True
                if not (self.search.vanished or self.search.missed):
                    return False

    def _stop_new(self) -> bool:
        new = []
        found = list(self.search.members.values())[len(self.processes) :]
        # With a root comes a command that has arrived a second time: that is to be ended as the first was.
        arrived = any(process.id in self.search.roots for process in found)
        for process in found:
            tracked = TrackedProcess(
                process, "root" if process.id in self.search.roots else "child"
            )
            tracked.late = self.late
            # Whether it was started after the freeze, and is no command that has arrived a second time.
            runs_on = (
                not (self.late or arrived)
                and self.signalled is not None
                and process.id.start >= self.signalled
            )
            tracked.cleans = runs_on and self._had_signal(process)
            self.processes[process.id] = tracked
            new.append(tracked)
            if self.is_target(tracked):
                if runs_on:
                    # It may have been stopped before it was known: see fork_chase.
                    self.signal(tracked, SIGCONT)
                else:
                    # signal 0 asks whether we might
                    self.signal(tracked, SIGSTOP if self.may_stop(process) else 0)
        for tracked in new:
            self.describe(tracked)
            if tracked.role == SUPERVISOR:
                # It stays as long as we do, and does not stand still for ever if we die: see _supervisor/give_way.py.
                self.signal(tracked, SIGCONT)
        return bool(new)

    def _had_signal(self, process: "Process") -> bool:
        """Whether what started a process has had its first signal: what has not goes on with its work. An orphan does not show it."""
        parent = self.table.process(process.ppid)
        above = self.processes.get(parent.id) if parent is not None else None
        return (
            above is None
            or above.ended is not None
            or above.role == SUPERVISOR
            or bool(above.sent)
            or above.cleans
        )

    def describe(self, tracked: "TrackedProcess") -> None:
        """Note what a process is, while it still shows it."""
        tracked.describe(self.table, self._arguments)
        if self._supervises(tracked):
            tracked.role = SUPERVISOR
            self.search.include_children_of(tracked.process.id.pid)

    def _supervises(self, tracked: "TrackedProcess") -> bool:
        """Whether a process is the supervisor of a lease that is ended here. Its title alone says nothing: a job can call itself so.

        It names the lease whose cookie it carries, runs as the user of the root above it, and no other supervisor stands above it: a job is below its own.
        """
        pid = tracked.process.id.pid
        words = self.table.arguments(pid)
        if not is_supervisor(words):
            return False
        environment = self.table.environment(pid)
        if self.search.match.named_root(environment) is None or not names_its_lease(
            words, environment
        ):
            return False
        for parent in ancestors(tracked.process, self.table.process):
            above = self.processes.get(parent.id)
            if self.search.includes_children_of(parent.id.pid):
                return False
            if above is not None and above.role == "root":
                return self.table.effective_uid(parent.id.pid) == tracked.user
        return True

    def may_stop(self, process: "Process") -> bool:
        """Whether a process may be stopped: not if the parent is none of ours and might stop itself because of it without our being able to wake it."""
        if self.search.holds_pid(process.ppid):
            return True
        above = self.search.above(process)
        if process.ppid == 0 or above and not self._may_signal(above[0].id):
            return False  # parent 0 is one outside our pid namespace: nsenter stops itself just like sudo
        self._above.extend(parent for parent in above if not parent.stopped)
        return True

    def _may_signal(self, process: "ProcessId") -> bool:
        try:
            self.send(process, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def end_grace(self) -> None:
        """Who is found from now on is late, and who was let be is a target like any other."""
        self.late = True
        for tracked in self.living():
            tracked.held = False
            if tracked.cleans:
                # Found when it had just been forked, perhaps; by now it shows what it runs.
                self.describe(tracked)

    def unsignalled(self) -> "List[TrackedProcess]":
        """The targets that are to get their first signal."""
        return [tracked for tracked in self.targets() if not tracked.sent and not tracked.cleans]

    def freeze(self) -> None:
        """Scan until a scan finds nobody new and everybody stands still: a fork that had begun before the stop still comes to its end."""
        with FirstTurn():
            self._freeze()

    def _freeze(self) -> None:
        until = self.clock() + FREEZE_SECONDS
        still_until = self.clock() + STOP_SECONDS
        while self.clock() < until:
            moving = any(map(self._moves, self.targets()))
            if self.scan():
                still_until = self.clock() + STOP_SECONDS
            elif not moving or self.clock() >= still_until:
                return
            else:
                self.sleep(0.0005)

    def _moves(self, tracked: "TrackedProcess") -> bool:
        process = self.table.process(tracked.process.id.pid)
        return (
            process is not None
            and process.id == tracked.process.id
            and process.state in "RS"
            and not tracked.denied
            and (self.late or not tracked.cleans)
        )

    def signal(self, tracked: "TrackedProcess", signal: int) -> None:
        """Send a signal, and note what its answer says."""
        try:
            self.send(tracked.process.id, signal)
        except ProcessLookupError:
            if tracked.ended is None:
                tracked.ended = self.clock()
        except PermissionError:
            tracked.denied = True
        else:
            if signal not in (SIGSTOP, SIGCONT):
                tracked.sent = signal

    def observe_and_wake(self) -> None:
        """Note what is gone. What got a signal and stands stopped again is woken: nothing else will do it."""
        self.observe()
        for tracked in self.living():
            if (
                tracked.stopped
                and not tracked.held
                and (tracked.sent or tracked.loose)
                and tracked.sent != SIGKILL
                and not tracked.cleans
            ):
                self.signal(tracked, SIGCONT)
        self.wake()

    def observe(self) -> None:
        """Note what is gone, and how the rest stands. Nothing is woken."""
        now = self.clock()
        for tracked in self.living():
            process = self.table.process(tracked.process.id.pid)
            if process is not None and not process.id.start and tracked.process.id.start:
                tracked.denied = True  # it has become another user's, and does not show any more
            elif process is None or process.id != tracked.process.id or not process.alive:
                tracked.ended = now
            else:
                tracked.observe(process)

    def release(self) -> None:
        """Let go of what stays because of us: nobody is left, or nobody who can be ended. A supervisor knows it by the second CONT."""
        for tracked in self.living():
            if tracked.role == SUPERVISOR:
                self.signal(tracked, SIGCONT)
        self.wake()

    def thaw(self) -> None:
        """Let all go on that we have stopped, when something went wrong and somebody else has to end them."""
        for tracked in reversed(self.targets()):
            tracked.held = False
            if tracked.sent != SIGKILL:
                try:
                    self.signal(tracked, SIGCONT)
                except OSError:
                    pass  # whatever it is: the others are to go on
        self.release()

    def awaits_supervisors(self) -> bool:
        """Whether nothing is left but supervisors and what stands above them.

        A shell waits for its command before it ends. That is a supervisor, which stays until the shell is gone.
        """
        living = self.living()
        by_pid = {tracked.process.id.pid: tracked for tracked in living}
        above = set()
        for supervisor in living:
            one = supervisor if supervisor.role == SUPERVISOR else None
            while one is not None and one.process.id not in above:
                above.add(one.process.id)
                one = by_pid.get(one.ppid)
        return 0 < len(above) == len(living) and any(
            tracked.role != SUPERVISOR for tracked in living
        )

    def _stands_still(self, process: "Process") -> bool:
        now = self.table.process(process.id.pid)
        return now is not None and now.id == process.id and now.stopped

    def dismiss(self) -> None:
        """A supervisor without anybody to watch goes by itself, unless something is wrong with it."""
        for tracked in self.living():
            if tracked.role == SUPERVISOR and not self.targets():
                self.signal(tracked, SIGKILL)

    def wake(self) -> None:
        """Continue what stands above the tree and stopped because of us: sudo and su stop themselves when their command is stopped.

        Not while their command is held: they would continue it.
        """
        if any(tracked.held and tracked.role == "root" for tracked in self.living()):
            return
        for process in self._above:
            if self._stands_still(process):
                try:
                    self.send(process.id, SIGCONT)
                except (ProcessLookupError, PermissionError):
                    pass  # it ended this moment, or became somebody else's by a setuid exec, which no stopped process can do
