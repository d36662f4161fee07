# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Controls a tree: finds its members, stops them, signals them, and records what became of each."""

from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_title import (
    is_supervisor,
    names_its_lease,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
from ansible_collections.treekill.remote.plugins.module_utils._process.real_time import (
    RealTimeScheduling,
)
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
    from ansible_collections.treekill.remote.plugins.module_utils._tree.transactions import (
        Transactions,
    )

#: Seconds that a tree may keep the freeze busy by forking. If a tree is faster for that long, the
#: freeze ends, and the tree is signalled as it is.
FREEZE_SECONDS = 2.0
#: Seconds in which a stop reaches a process that runs in the kernel. A process that takes longer
#: waits for a device. On a busy host, it may also wait for a processor: it is ready to run then.
STOP_SECONDS, READY_STOP_SECONDS = 0.05, 0.5
#: Seconds between two looks, before and after STOP_SECONDS.
STOP_PAUSE_SECONDS, READY_PAUSE_SECONDS = 0.0005, 0.005
#: Seconds after which a deciding scan ends, although processes still vanish before they can be
#: read. It has proven nothing then: see fork_chase.py.
CHASE_SECONDS = 0.3
#: On a very busy host, that time may pass with hardly a look. So there are at least this many
#: looks, within this many seconds.
CHASE_LOOKS, LONGEST_CHASE_SECONDS = 12, 3.0
#: Characters of a command line that are reported. They are enough to recognise it, and few enough
#: for 500 command lines in one line.
COMMAND_CHARACTERS = 240
#: Role of a supervisor. It stays until all others are gone, since orphans without it would belong
#: to no tree. Then it ends by itself.
SUPERVISOR = "supervisor"
#: How a process takes part in a transaction. It is a parent of one, or connected to one by a pipe
#: or a terminal, or in one. See transactions.py.
CARRIES, READS, IN_TRANSACTION = 1, 2, 3


def joined(words: "List[bytes]") -> bytes:
    """Return a command line, joined by spaces; by NUL if a word is empty or has spaces in it.

    See masked_words.mask_command.
    """
    text = b" ".join(words)
    return text if text.split() == words else b"\0".join(words)


class TrackedProcess:
    """A process of the tree, and what becomes of it.

    process: as it was when it was found.
    role: `root`, `child` or `supervisor`.
    user: its effective uid.
    sent: the last signal that it got, 0 for none. Stop and continue do not count.
    ended: when it ended, on the clock; None while it lives.
    denied: whether this user may not signal it.
    after_grace: whether it was found after the grace period.
    cleans: whether it was started by a process that had its first signal, perhaps to clean up. It
        is left alone until the grace period is over.
    ppid, comm, stopped: as last seen.
    stopping: whether this pass has stopped it, and not continued it since.
    loose: whether it was continued after the freeze.
    held: whether it stays stopped until the process that it waits for has ended.
    finishes: how it takes part in a transaction that is left to finish; 0 if it does not.
    was_finishing: whether it ever was in one.
    unfinished: whether it was in one when the time for that was over.
    job: only for a process that watches an asynchronous job of core: the id of the job, and then
        the environment. Otherwise empty.
    """

    __slots__ = (
        "process",
        "role",
        "user",
        "command",
        "sent",
        "ended",
        "denied",
        "after_grace",
        "cleans",
        "reason",
        "job",
        "ppid",
        "comm",
        "stopped",
        "stopping",
        "loose",
        "held",
        "finishes",
        "was_finishing",
        "unfinished",
    )

    def __init__(self, process: "Process", role: str) -> None:
        self.process = process
        self.role = role
        self.user: Optional[int] = None
        self.command = ""
        self.sent = 0
        self.ended: Optional[float] = None
        self.denied = False
        self.after_grace = False
        self.cleans = False
        self.reason = ""
        self.job: List[bytes] = []
        self.ppid = process.ppid
        self.comm = process.comm
        self.stopped = False
        self.stopping = False
        self.loose = False
        self.held = False
        self.finishes = 0
        self.was_finishing = False
        self.unfinished = False

    def observe(self, process: "Process") -> None:
        """Record its current state."""
        self.ppid, self.comm, self.stopped = process.ppid, process.comm, process.stopped

    def describe(self, table: "ProcessTable", arguments: bool) -> None:
        """Record user and command line, while the process still has them.

        Once it has ended they may be those of another process.
        """
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
    """All processes of one tree. The caller provides the process table, the signals and the clock.

    processes: all that were ever found, parents before children.
    grace_over: whether the grace period is over.
    signalled: when the first signals were sent, in the unit of start times; None before.
    transactions: those that are left to finish; None if the request wants none, or before the
        first signals.
    """

    def __init__(  # noqa: PLR0917 - all that it works with, named by the caller
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
        self.grace_over = False
        self.signalled: Optional[int] = None
        self.transactions: Optional[Transactions] = None
        self.search = search
        self.table = table
        self.clock = clock
        self.sleep = sleep
        self.send = send
        self._children = children
        self._arguments = arguments
        self._above: List[Process] = []

    def is_target(self, tracked: "TrackedProcess") -> bool:
        """Whether a process is to be ended now, and not only watched."""
        return not tracked.finishes and self.is_wanted(tracked)

    def is_wanted(self, tracked: "TrackedProcess") -> bool:
        """Whether the request asks to end a process, now or after a transaction."""
        return tracked.role != SUPERVISOR and (self._children or tracked.role == "root")

    def mark_transactions(self) -> bool:
        """Record what belongs to a transaction. Return whether there is one."""
        return self.transactions is not None and self.transactions.mark()

    def writes_to_terminal_above(self) -> bool:
        """Whether a transaction may write to a terminal of a program above the tree, of sudo's."""
        return self.transactions is not None and self.transactions.needs_terminal_of(self._above)

    def finishing(self) -> "List[TrackedProcess]":
        """Return the living processes that take part in a transaction."""
        return [tracked for tracked in self.living() if tracked.finishes]

    def living(self) -> "List[TrackedProcess]":
        """Return the processes that have not ended."""
        return [tracked for tracked in self.processes.values() if tracked.ended is None]

    def targets(self) -> "List[TrackedProcess]":
        """Return the living processes that the request asks to end."""
        return [tracked for tracked in self.living() if self.is_target(tracked)]

    def scan(self, last: bool = False) -> bool:
        """Find new members and stop them at once, parents before children.

        Return whether there were any, caught or not, or whether there may be. Those of a
        transaction do not count.

        last: whether no process is known to be left, so that this scan decides.
        """
        self.search.scan(last)
        if self._stop_new():
            return True
        # What comes and goes in a transaction is most often part of it. The scans after it decide.
        finishes = self.transactions is not None and self.transactions.on
        if (
            not (self.search.vanished or self.search.missed)
            or self.processes
            and (not last or finishes)
        ):
            return False
        from ansible_collections.treekill.remote.plugins.module_utils._tree.fork_chase import chase

        began, looks = self.clock(), 0
        with RealTimeScheduling():
            while True:
                sure = chase(self)
                if self._stop_new() or sure:
                    return not sure
                looks += 1
                spent = self.clock() - began
                if (
                    spent >= LONGEST_CHASE_SECONDS
                    or spent >= CHASE_SECONDS
                    and looks >= CHASE_LOOKS
                ):
                    return True
                self.search.scan(last)
                if self._stop_new():
                    return True
                if not (self.search.vanished or self.search.missed):
                    return False

    def _stop_new(self) -> bool:
        new = []
        found = list(self.search.members.values())[len(self.processes) :]
        # A new root means that the command has arrived a second time. It is to be ended like the
        # first.
        arrived = any(process.id in self.search.roots for process in found)
        for process in found:
            tracked = TrackedProcess(
                process, "root" if process.id in self.search.roots else "child"
            )
            tracked.after_grace = self.grace_over
            # Whether it was started after the freeze, and does not come from a command that has
            # arrived a second time.
            runs_on = (
                not (self.grace_over or arrived)
                and self.signalled is not None
                and process.id.start >= self.signalled
            )
            tracked.cleans = runs_on and self._had_signal(process)
            self.processes[process.id] = tracked
            new.append(tracked)
            if (
                self.transactions is not None
                and tracked.role != "root"
                and self.transactions.joins(process)
            ):
                tracked.finishes, tracked.cleans, tracked.loose = IN_TRANSACTION, False, True
                tracked.was_finishing = True
                # It may have been stopped before it was recognised: see fork_chase.
                self.signal(tracked, SIGCONT)
            elif self.is_target(tracked):
                if runs_on:
                    # It may have been stopped before it was recognised: see fork_chase.
                    self.signal(tracked, SIGCONT)
                else:
                    # Signal 0 only asks whether it may be signalled.
                    self.signal(tracked, SIGSTOP if self.may_stop(process) else 0)
        for tracked in new:
            self.describe(tracked)
            if tracked.role == SUPERVISOR:
                # It stays as long as this pass does. It must not stay stopped forever if the pass
                # dies: see _supervisor/give_way.py.
                self.signal(tracked, SIGCONT)
        return any(not tracked.finishes for tracked in new)

    def _had_signal(self, process: "Process") -> bool:
        """Whether the parent that started a process has had its first signal.

        If not, the parent goes on with its work. An orphan does not show which parent started it:
        the answer is yes then.
        """
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
        """Record what a process is, while it still shows it."""
        tracked.describe(self.table, self._arguments)
        if self._supervises(tracked):
            tracked.role = SUPERVISOR
            self.search.include_children_of(tracked.process.id.pid)

    def _supervises(self, tracked: "TrackedProcess") -> bool:
        """Whether a process is the supervisor of a lease that is ended here.

        Its title alone proves nothing: a job can give itself that title. The title must name the
        lease whose cookie the process carries. The process must run as the user of the root above
        it. No other supervisor may stand above it, since a job stands below its own.
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
        """Whether a process may be stopped.

        It may not be stopped if a parent outside the tree might then stop itself, and this user
        could not continue that parent.
        """
        if self.search.holds_pid(process.ppid):
            return True
        above = self.search.above(process)
        if process.ppid == 0 or above and not self._may_signal(above[0].id):
            # parent 0 is outside this pid namespace: nsenter stops itself just like sudo
            return False
        self._above.extend(parent for parent in above if not parent.stopped)
        return True

    def _may_signal(self, process: "ProcessId") -> bool:
        try:
            self.send(process, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def end_grace(self) -> None:
        """Make targets of the processes that were left alone.

        Those found later get no grace period.
        """
        self.grace_over = True
        for tracked in self.living():
            tracked.held = tracked.held and bool(tracked.finishes)
            if tracked.cleans:
                # It may have been found just after its fork. By now it shows what it runs.
                self.describe(tracked)

    def unsignalled(self) -> "List[TrackedProcess]":
        """Return the targets that are to get their first signal."""
        return [tracked for tracked in self.targets() if not tracked.sent and not tracked.cleans]

    def freeze(self) -> None:
        """Scan until a scan finds no new process and all are stopped.

        A fork that began before the stop is still completed.
        """
        with RealTimeScheduling():
            self._freeze()

    def _freeze(self) -> None:
        since = self.clock()
        until = since + FREEZE_SECONDS
        while self.clock() < until:
            # Read before the scan, so that the scan finds what these have started.
            states = {self._state_unless_stopped(tracked) for tracked in self.targets()}
            if self.scan():
                since = self.clock()
                continue
            spent = self.clock() - since
            limit = READY_STOP_SECONDS if "R" in states else STOP_SECONDS
            if not states & {"R", "S"} or spent >= limit:
                return
            self.sleep(STOP_PAUSE_SECONDS if spent < STOP_SECONDS else READY_PAUSE_SECONDS)

    def _state_unless_stopped(self, tracked: "TrackedProcess") -> str:
        """Return the state of a process that this pass has stopped; otherwise an empty string."""
        process = self.table.process(tracked.process.id.pid)
        stopping = tracked.stopping and process is not None and process.id == tracked.process.id
        return process.state if stopping and process is not None else ""

    def signal(self, tracked: "TrackedProcess", signal: int) -> None:
        """Send a signal, and record what the result shows."""
        try:
            self.send(tracked.process.id, signal)
        except ProcessLookupError:
            if tracked.ended is None:
                tracked.ended = self.clock()
        except PermissionError:
            tracked.denied = True
        else:
            if signal in (SIGSTOP, SIGCONT):
                tracked.stopping = signal == SIGSTOP
            else:
                tracked.sent = signal

    def observe_and_resume(self) -> None:
        """Record which processes have exited, and resume those that have stopped again.

        These had a signal, and nothing else would resume them.
        """
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
        self.resume_above()

    def observe(self) -> None:
        """Record which processes have exited, and the state of the rest. Resume none."""
        now = self.clock()
        for tracked in self.living():
            process = self.table.process(tracked.process.id.pid)
            if process is not None and not process.id.start and tracked.process.id.start:
                tracked.denied = True  # it belongs to another user by now, and is hidden
            elif process is None or process.id != tracked.process.id or not process.alive:
                tracked.ended = now
            else:
                tracked.observe(process)

    def resume_supervisors(self) -> None:
        """Resume supervisors, and the processes above the tree, when this pass can end no more.

        A supervisor recognises this by the second CONT.
        """
        for tracked in self.living():
            if tracked.role == SUPERVISOR:
                self.signal(tracked, SIGCONT)
        self.resume_above()

    def resume_all(self) -> None:
        """Resume all that this pass has stopped: it has failed, and another one ends the tree."""
        for tracked in reversed(self.living()):
            tracked.held = False
            if self.is_wanted(tracked) and tracked.sent != SIGKILL:
                try:
                    self.signal(tracked, SIGCONT)
                except OSError:
                    pass  # whatever the error is, the others are to be resumed
        self.resume_supervisors()

    def awaits_supervisors(self) -> bool:
        """Whether only supervisors and the processes above them are left.

        A shell waits for its command before it ends. Its command is a supervisor, which stays until
        the shell is gone.
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
        """Kill supervisors with nothing left to watch. A working one ends by itself earlier."""
        for tracked in self.living():
            if tracked.role == SUPERVISOR and not self.targets() and not self.finishing():
                self.signal(tracked, SIGKILL)

    def resume_above(self) -> None:
        """Resume the processes above the tree that have stopped because of this pass.

        sudo and su stop themselves when their command is stopped. They are not resumed while their
        command is held: they would resume it.
        """
        if any(tracked.held and tracked.role == "root" for tracked in self.living()):
            return
        for process in self._above:
            if self._stands_still(process):
                try:
                    self.send(process.id, SIGCONT)
                except (ProcessLookupError, PermissionError):
                    # it has just ended, or belongs to another user by a setuid exec, which no
                    # stopped process can do
                    pass
