# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The order of the first signals: the processes that a task runs come first, carriers come last.

A carrier waits for a command and reads its output: the module, sudo, su. If it died first, the
clean-up of the command would end at its next line of output, or by the hang-up of a terminal.

A shell that waits for a command is a carrier as well, and would go on with the next command. So it
stays stopped until the first command has ended, with its signal pending.

Any other program may pass a signal on to the processes that it has started. If it handles the
signal, it gets the signal alone, and those processes get it when the program has ended. Each
process gets each signal once.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import SIGCONT
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    IN_TRANSACTION,
    READS,
    SUPERVISOR,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Set, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
        TrackedProcess,
        TreeControl,
    )

SHELLS = frozenset(
    (
        "sh",
        "bash",
        "rbash",
        "dash",
        "ash",
        "busybox",
        "zsh",
        "ksh",
        "ksh93",
        "mksh",
        "lksh",
        "yash",
        "fish",
        "tcsh",
        "csh",
        "bsd-csh",
        "static-sh",
        "toybox",
    )
)
#: Programs that wait for a command, relay its terminal, and stop themselves when it is stopped.
RELAYS = frozenset(("sudo", "su", "doas", "runuser", "pkexec", "dzdo", "script", "nsenter"))
#: Signals that a terminal sends to all processes of its foreground. Programs rely on their children
#: getting them as well.
OF_A_TERMINAL = frozenset(
    (int(host_signals.SIGHUP), int(host_signals.SIGINT), int(host_signals.SIGQUIT))
)

MODULE, RELAY, SHELL, OTHER = "module", "relay", "shell", "other"


class SignalOrder:
    """Decides which processes are to get the first signal now.

    signal: to a root.
    children_signal: to the rest.
    alone: whether a program that handles its signal gets it before the processes that it has
        started.
    """

    def __init__(
        self, control: "TreeControl", signal: int, children_signal: int, alone: bool
    ) -> None:
        self._control = control
        self._signal = signal
        self._children_signal = children_signal
        self._alone = alone
        self._kinds: Dict[Tuple[int, int, str], str] = {}
        # Judged once: the way a process treats a signal while it cleans up does not show how it is
        # run.
        self._fronts: Dict[Tuple[ProcessId, ProcessId], bool] = {}
        self._passers: Set[ProcessId] = set()
        self._by_pid: Dict[int, TrackedProcess] = {}
        self._below: Dict[int, List[TrackedProcess]] = {}
        self._holding: Set[int] = set()
        self._forks: Dict[ProcessId, str] = {}
        self._ignoring: Set[ProcessId] = set()

    def signal_due(self) -> None:
        """Signal the processes that are due, and resume all but the shells that have to wait.

        Children come first: a sudo that is resumed while its command is stopped stops itself again.
        """
        control = self._control
        control.mark_transactions()
        living = control.living()
        self._by_pid = {tracked.process.id.pid: tracked for tracked in living}
        self._below = {}
        tops = []
        for tracked in living:
            above = self._by_pid.get(tracked.ppid)
            if above is None or above is tracked:
                tops.append(tracked)
            else:
                self._below.setdefault(tracked.ppid, []).append(tracked)
        self._holding = set()
        due = self._due(tops)
        for tracked in due:
            self._record_fork(tracked)
            self._ignores(tracked)
            control.signal(tracked, self._number(tracked))
        for tracked in reversed(living):
            tracked.held = tracked.process.id.pid in self._holding
            if not tracked.held and not tracked.loose and tracked.role != SUPERVISOR:
                tracked.loose = True
                if control.is_wanted(tracked) and not tracked.cleans:
                    control.signal(tracked, SIGCONT)
        control.resume_above()

    def repeat_lost(self) -> None:
        """Signal once more what has lost its first signal by executing a program.

        A fork that has executed nothing yet still has the handlers of its parent. One of these may
        take note of the signal, and the program that is executed then knows nothing of it.
        """
        for tracked in self._control.living() if self._forks else ():
            program = self._forks.get(tracked.process.id)
            pid = tracked.process.id.pid
            if program is None or self._control.table.program(pid) in (program, ""):
                continue
            del self._forks[tracked.process.id]
            number = self._number(tracked)
            ignored, handled = self._control.table.dispositions(pid)
            # It would not be alive if it had the signal.
            if not (ignored | handled) & 1 << number - 1 and self._control.is_target(tracked):
                self._control.signal(tracked, number)

    def _record_fork(self, tracked: "TrackedProcess") -> None:
        """Record the program of a process that has the command line of its parent.

        A new command line alone would prove nothing: a process can also rename itself while it
        cleans up, and must not get its signal twice.
        """
        above = self._by_pid.get(tracked.ppid)
        table, pid = self._control.table, tracked.process.id.pid
        if above is not None and table.arguments(pid) == table.arguments(above.process.id.pid):
            self._forks[tracked.process.id] = table.program(pid)

    def _number(self, tracked: "TrackedProcess") -> int:
        return self._signal if tracked.role == "root" else self._children_signal

    def _due(self, tops: "Sequence[TrackedProcess]") -> "List[TrackedProcess]":
        """Return the processes that are to be signalled now.

        Record those that stay stopped until the process that they wait for has ended.
        """
        due: List[TrackedProcess] = []
        # (a process, whether something above it may pass the signal on)
        stack = [(tracked, False) for tracked in reversed(tops)]
        while stack:
            tracked, waits = stack.pop()
            if tracked.finishes == IN_TRANSACTION:
                continue
            children = self._below.get(tracked.process.id.pid, [])
            if waits or tracked.role == SUPERVISOR or tracked.cleans:
                stack += [(child, waits) for child in reversed(children)]
                continue
            kind = self._kind(tracked) if children else OTHER
            front: Sequence[TrackedProcess] = (
                ()
                if kind == OTHER and not tracked.finishes
                else [
                    child
                    for child in children
                    if self._can_end(child) and self._is_front(tracked, child, kind)
                ]
            )
            ready = self._is_ready(tracked, kind, front)
            if tracked.finishes:
                # A shell that is held does not go on with its next command. All others that carry a
                # transaction are needed as long as it lasts.
                ready = tracked.process.id.pid in self._holding
            if (
                ready
                and not tracked.sent
                and self._control.is_wanted(tracked)
                and not self._reads_from_orphans(tracked)
            ):
                due.append(tracked)
            behind = bool(children) and kind in (SHELL, OTHER) and self._may_pass_on(tracked)
            stack += [(child, behind and child not in front) for child in reversed(children)]
        return due

    def _can_end(self, tracked: "TrackedProcess") -> bool:
        """Whether a process at or below this one may be signalled.

        A sudo above a process that may not be signalled can still pass a signal on to it.
        """
        below = [tracked]
        for one in below:
            if (
                one.role == SUPERVISOR
                or one.finishes
                or not one.denied
                and self._control.is_wanted(one)
            ):
                return True
            below += self._below.get(one.process.id.pid, [])
        return False

    def _is_ready(
        self, tracked: "TrackedProcess", kind: str, front: "Sequence[TrackedProcess]"
    ) -> bool:
        """Whether a process is due.

        front: the processes that it waits for.
        """
        if not front:
            # A relay that is held is resumed when the shell below it is.
            return True
        if kind == SHELL:
            if tracked.held or not tracked.loose and self._can_hold(tracked):
                self._holding.add(tracked.process.id.pid)
                for relay in self._relays_above(tracked):
                    self._holding.add(relay.process.id.pid)
                return True
            return not self._carries_module(tracked)
        return False

    def _reads_from_orphans(self, tracked: "TrackedProcess") -> bool:
        """Whether a process is a module that reads what orphans write.

        Their parent may have ended at once: setsid, or flock. An orphan that its signal does not
        end keeps the module from nothing.
        """
        above = self._by_pid.get(tracked.ppid)
        # A pass by the supervisor itself does not track the supervisor.
        if above is not None and above.role != SUPERVISOR:
            return False
        others = [
            one for one in self._by_pid.values() if one.ppid == tracked.ppid and one is not tracked
        ]
        if not others or self._kind(tracked) != MODULE:
            return False
        for one in others:
            others += self._below.get(one.process.id.pid, [])
        pipes = self._control.table.pipes
        read = pipes(tracked.process.id.pid)[0]
        return any(
            self._control.is_wanted(one)
            and not one.denied
            and not self._ignores(one)
            and read & pipes(one.process.id.pid)[1]
            for one in others
        )

    def _ignores(self, tracked: "TrackedProcess") -> bool:
        """Whether a process ignores its first signal, judged before it gets that."""
        process = tracked.process.id
        if not tracked.sent:
            ignored = self._control.table.dispositions(process.pid)[0]
            it = ignored & 1 << self._number(tracked) - 1
            (self._ignoring.add if it else self._ignoring.discard)(process)
        return process in self._ignoring

    def _is_front(self, tracked: "TrackedProcess", child: "TrackedProcess", kind: str) -> bool:
        """Whether a process waits for a child.

        What a shell has started with `&` ignores SIGINT: the shell sets it so.

        A child that ignores its signal ends when its parent does, or not at all: no process waits
        for that.
        """
        if child.role == SUPERVISOR or child.finishes:
            return True
        pair = (tracked.process.id, child.process.id)
        if pair not in self._fronts:
            ignored = self._control.table.dispositions(child.process.id.pid)[0]
            interrupt = 1 << int(host_signals.SIGINT) - 1
            behind = (
                kind == SHELL
                and ignored & interrupt
                and not self._control.table.dispositions(tracked.process.id.pid)[0] & interrupt
            )
            self._fronts[pair] = not behind and not ignored & 1 << self._number(child) - 1
        return self._fronts[pair]

    def _may_pass_on(self, tracked: "TrackedProcess") -> bool:
        """Whether a process handles its signal, and may hand it on to what it has started.

        The process may drop the handler while it does so.
        """
        number = self._number(tracked)
        if not self._alone or number in OF_A_TERMINAL:
            return False
        if self._control.table.dispositions(tracked.process.id.pid)[1] & 1 << number - 1:
            self._passers.add(tracked.process.id)
        return tracked.process.id in self._passers

    def _relays_above(self, tracked: "TrackedProcess") -> "List[TrackedProcess]":
        """Return the relays right above a process, nearest first.

        Each of them stops itself when the one below it stops.
        """
        found: List[TrackedProcess] = []
        above = self._by_pid.get(tracked.ppid)
        while above is not None and above not in found and self._kind(above) == RELAY:
            found.append(above)
            above = self._by_pid.get(above.ppid)
        return found

    def _can_hold(self, tracked: "TrackedProcess") -> bool:
        """Whether a shell can be held: it is stopped, and so are relays that stop because of it.

        A sudo above the tree is stopped with it: see TreeControl.resume_above().
        """
        if tracked.denied or not tracked.stopped or tracked.finishes == READS:
            return False
        relays = self._relays_above(tracked)
        if tracked.finishes and (
            any(one.finishes == READS for one in relays) or self._control.writes_to_terminal_above()
        ):
            # A relay that is stopped takes no output of the transaction. One above the tree that is
            # resumed resumes all that runs in its terminal.
            return False
        return (
            not relays
            or all(one.stopped and not one.denied and not one.loose for one in relays)
            and not self._carries_module(tracked)
        )

    def _carries_module(self, tracked: "TrackedProcess") -> bool:
        """Whether a shell runs a file that core has made: a module or a script.

        Then nothing else of the task follows in that shell.
        """
        words = self._control.table.arguments(tracked.process.id.pid)
        if words[1:2] == [b"-c"] and any(b"/ansible-tmp-" in word for word in words[2:]):
            return True
        below = list(self._below.get(tracked.process.id.pid, []))
        for one in below:
            if one.role == SUPERVISOR or self._kind(one) == MODULE:
                return True
            below += self._below.get(one.process.id.pid, [])
        return False

    def _kind(self, tracked: "TrackedProcess") -> str:
        process = tracked.process.id
        key = (process.pid, process.start, tracked.comm)
        if key not in self._kinds:
            self._kinds[key] = self._find_kind(tracked)
        return self._kinds[key]

    def _find_kind(self, tracked: "TrackedProcess") -> str:
        pid = tracked.process.id.pid
        words = self._control.table.arguments(pid)
        # Of a process that may not be read, most often only the program is hidden.
        program = self._control.table.program(pid) or (
            words[0].decode("ascii", "replace").rpartition("/")[2].lstrip("-")
            if words
            else tracked.comm
        )
        if program.partition(".")[0] in RELAYS or program in ("sudo-rs", "su-rs"):
            return RELAY
        if program in SHELLS:
            return SHELL
        if "python" in program.lower():
            above = self._by_pid.get(tracked.ppid)
            bare = len(words) == 1 and b" " not in words[0] and b"python" in words[0].lower()
            if (
                above is not None
                and above.role == SUPERVISOR
                or bare
                or any(b"/AnsiballZ_" in word or b"/ansible-tmp-" in word for word in words[:3])
            ):
                return MODULE
        return OTHER
