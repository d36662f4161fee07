# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Transactions that are left to finish: a package database is open, or a file system is written.

A transaction is recognised by the file that a process executes, which root must own, and by the
lock that the process holds. Names that a process can give itself prove nothing. A program that has
no lock counts by its file alone.

What the process has started belongs to the transaction. So do its parents in the tree, and what is
connected to it by a pipe: it would die of SIGPIPE, or wait forever.

Locks, as seen in /proc/PID/fdinfo:

- dpkg holds `lock` while it works.
- apt-get holds `lock-frontend` and `lock` while it solves and downloads. It gives `lock` back
  before it runs dpkg, and takes it again afterwards. So does python3-apt.
- rpm, dnf and libdnf hold `.rpm.lock` for writing while they change something.
- A process that waits for a lock holds none.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SIGCONT,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    CARRIES,
    IN_TRANSACTION,
    READS,
    SUPERVISOR,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Set, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Pipes,
        Process,
        ProcessId,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
        TrackedProcess,
        TreeControl,
    )

#: The programs of the option finish_programs, as its default has them.
PROGRAMS = (
    "dpkg,apt-get,apt,aptitude*,rpm,rpmdb,dnf5,microdnf,zypp-rpm,pacman,apk,flatpak,"
    "mke2fs,mkfs.*,resize2fs,tune2fs,e2fsck,fsck.*,xfs_growfs,xfs_repair,"
    "lvm,parted,sfdisk,sgdisk,cryptsetup,mdadm,"
    "grub-install,grub2-install,fwupdtool,flashrom,pg_upgrade,mysql_upgrade,mariadb-upgrade"
)
#: The databases of the option finish_modules, as its default has them.
MODULES = "apt,dnf"
#: The lock of a program, by the end of its path. A pattern that ends with a slash is a directory.
LOCKS = {
    "dpkg": "/lock",
    "rpm": "/.rpm.lock",
    "rpmdb": "/.rpm.lock",
    "dnf5": "/.rpm.lock",
    "microdnf": "/.rpm.lock",
    "zypp-rpm": "/.rpm.lock",
    "apk": "/apk/db/lock",
    "lvm": "/lock/lvm/",
    # It is not locked: it exists, and is open, while the database is in use.
    "pacman": "/db.lck",
}
_FRONTEND = "/lock-frontend"
#: Seconds in which a process may end by itself after it has given its lock back.
AFTERWARDS_SECONDS = 2.0


class Transactions:
    """The transactions of one tree.

    programs, modules: the options, with commas.
    on: whether there was a transaction at the last look.
    began: when the first one was seen, on the clock; None before.
    over: whether the time for them is over. Then none is left to finish any more.
    """

    def __init__(self, control: "TreeControl", programs: str, modules: str) -> None:
        self.on = False
        self.over = False
        self.began: Optional[float] = None
        self._control = control
        names = [name.strip() for name in programs.split(",") if name.strip()]
        self._names = frozenset(name for name in names if name[-1] != "*")
        self._beginnings = tuple(name[:-1] for name in names if name[-1] == "*")
        self._modules = frozenset(name.strip() for name in modules.split(","))
        self._programs: Dict[Tuple[ProcessId, str], str] = {}
        #: When a process that was in a transaction was first seen without its lock.
        self._holders: Dict[ProcessId, Optional[float]] = {}
        self._tops: List[TrackedProcess] = []
        self._known: Optional[Tuple[object, object]] = None

    def mark(self) -> bool:
        """Record which living processes finish. Return whether there are any."""
        living = self._control.living()
        holders = [] if self.over else [one for one in living if self._holds_on(one)]
        ids = {one.process.id for one in holders}
        seen = ({one.process.id: (one.ppid, one.comm) for one in living}, ids)
        if seen != self._known:
            self._known = seen
            self._mark(living, holders)
        self.on = bool(holders)
        if self.on and self.began is None:
            self.began = self._control.clock()
        return self.on

    def give_up(self) -> None:
        """Take the rest for processes like all others: the time is over."""
        self.over = True
        for tracked in self._control.living():
            tracked.unfinished = tracked.finishes == IN_TRANSACTION
        self.mark()

    def joins(self, process: "Process") -> bool:
        """Whether a new process belongs to a transaction.

        An orphan does not show which parent started it.
        """
        if not self.on:
            return False
        parent = self._control.table.process(process.ppid)
        above = self._control.processes.get(parent.id) if parent is not None else None
        if above is not None and above.role != SUPERVISOR and above.ended is None:
            return above.finishes == IN_TRANSACTION
        signalled = self._control.signalled
        return signalled is not None and process.id.start >= signalled

    def needs_terminal_of(self, above: "Iterable[Process]") -> bool:
        """Whether a transaction writes to a terminal, and one of the processes reads that."""
        return any(is_on_terminal(tracked.process.id.pid) for tracked in self._tops) and any(
            self._control.table.pipes(process.id.pid)[3] for process in above
        )

    def _mark(self, living: "List[TrackedProcess]", holders: "List[TrackedProcess]") -> None:
        finishes: Dict[ProcessId, int] = {}
        # apt-get gives dpkg a terminal of its own.
        pids = {tracked.process.id.pid for tracked in holders}
        self._tops = [tracked for tracked in holders if tracked.ppid not in pids]
        if holders:
            self._mark_related(living, holders, finishes)
            self._mark_connected(living, finishes)
        for tracked in reversed(living):
            before = tracked.finishes
            tracked.finishes = finishes.get(tracked.process.id, 0)
            tracked.was_finishing = tracked.was_finishing or tracked.finishes == IN_TRANSACTION
            if tracked.finishes and not before and tracked.loose:
                self._control.signal(tracked, SIGCONT)

    @staticmethod
    def _mark_related(
        living: "List[TrackedProcess]",
        holders: "List[TrackedProcess]",
        finishes: "Dict[ProcessId, int]",
    ) -> None:
        """Mark the transactions, what is below them, and what is above them in the tree."""
        by_pid = {tracked.process.id.pid: tracked for tracked in living}
        for tracked in living:
            # Parents stand before their children. An orphan stays in the transaction.
            above = by_pid.get(tracked.ppid)
            if (
                tracked in holders
                or tracked.finishes == IN_TRANSACTION
                or above is not None
                and finishes.get(above.process.id) == IN_TRANSACTION
            ):
                finishes[tracked.process.id] = IN_TRANSACTION
        for tracked in holders:
            above = by_pid.get(tracked.ppid)
            while above is not None and above.process.id not in finishes:
                if above.role != SUPERVISOR:
                    finishes[above.process.id] = CARRIES
                above = by_pid.get(above.ppid)

    def _mark_connected(
        self, living: "List[TrackedProcess]", finishes: "Dict[ProcessId, int]"
    ) -> None:
        """Mark what reads the output of a transaction, and what writes its input."""
        ends = {
            tracked.process.id: self._control.table.pipes(tracked.process.id.pid)
            for tracked in living
            if tracked.role != SUPERVISOR
        }
        more = True
        while more:
            more = False
            # What a parent writes is read by its command, and is no output of the transaction.
            output: Set[str] = set()
            written: Set[str] = set()
            fed: Set[str] = set()
            for process, how in finishes.items():
                of_process = ends.get(process, _NO_ENDS)
                written |= of_process[1]
                fed |= of_process[2]
                if how != CARRIES:
                    output |= of_process[1]
            for process, (read, writes, dummy, terminal) in ends.items():
                known = finishes.get(process, 0)
                if known in (IN_TRANSACTION, READS):
                    continue
                if (
                    known
                    and (terminal or output & read)
                    or not known
                    and (written & read or fed & writes)
                ):
                    finishes[process] = READS
                    more = True

    def _holds_on(self, tracked: "TrackedProcess") -> bool:
        """Whether a process is in a transaction, or is about to end after one."""
        process = tracked.process.id
        if self._is_in(tracked):
            self._holders[process] = None
            return True
        if process not in self._holders:
            return False
        now = self._control.clock()
        since = self._holders[process]
        if since is None:
            self._holders[process] = since = now
        return now - since < AFTERWARDS_SECONDS

    def _is_in(self, tracked: "TrackedProcess") -> bool:
        if tracked.role == SUPERVISOR:
            return False
        name = self._program(tracked)
        if not name:
            return False
        pid, table = tracked.process.id.pid, self._control.table
        if name[0] == "-":
            return _is_locked_by(pid, name[1:])
        users = {0, os.geteuid()}
        users.update(
            one.user for one in self._control.processes.values()
            if one.role == "root" and one.user is not None
        )  # fmt: skip
        if table.effective_uid(pid) not in users or not _is_of_root(pid):
            return False
        locked: Set[str] = set()
        if name in LOCKS or name in _APT or _is_python(name):
            locked = locked_files(pid)
        now = table.process(pid)
        return (
            now is not None
            and now.id == tracked.process.id
            and self._counts(name, locked)
            and not (locked and _is_ending(pid))
        )

    def _counts(self, name: str, locked: "Set[str]") -> bool:
        """Whether a program with these locks is in a transaction."""
        if _is_python(name):
            return (
                "apt" in self._modules
                and _is_apt_installing(locked)
                or "dnf" in self._modules
                and any(path.endswith(LOCKS["rpm"]) for path in locked)
            )
        if name in _APT:
            return _is_apt_installing(locked)
        lock = LOCKS.get(name)
        return lock is None or any(
            path.endswith(lock) or lock[-1] == "/" and lock in path for path in locked
        )

    def _program(self, tracked: "TrackedProcess") -> str:
        """Return the program of a process, if it is one of the options.

        It has a minus sign before it if only the name of the process shows it.
        """
        key = (tracked.process.id, tracked.comm)
        if key in self._programs:
            return self._programs[key]
        program = name = self._control.table.program(tracked.process.id.pid)
        if not name and tracked.denied and self._is_named(tracked.comm):
            # It is root's, and can't be signalled. But a sudo above it would pass a signal on.
            name = "-" + tracked.comm
        elif not self._is_named(name) and not (self._modules and _is_python(name)):
            name = ""
        # A script keeps its name when it executes a program of the same name.
        if program[:_NAME_CHARACTERS] == tracked.comm:
            self._programs[key] = name
        return name

    def _is_named(self, name: str) -> bool:
        return name in self._names or bool(self._beginnings) and name.startswith(self._beginnings)


#: Characters that the kernel keeps of the name of a process.
_NAME_CHARACTERS = 15
_APT = ("apt-get", "apt", "aptitude", "aptitude-curses")
_NO_ENDS: "Pipes" = (set(), set(), set(), False)


def _is_python(name: str) -> bool:
    return name.startswith(("python", "platform-python"))


def _is_apt_installing(locked: "Set[str]") -> bool:
    return any(
        path.endswith(_FRONTEND) and path[: -len("-frontend")] not in locked for path in locked
    )


def _is_of_root(pid: int) -> bool:
    """Whether root owns the file that a process executes: also one that was replaced since."""
    try:
        return os.stat("/proc/%d/exe" % pid).st_uid == 0
    except OSError:
        return False


def _is_ending(pid: int) -> bool:
    """Whether a process is about to end. Its locks go one by one then, and show nothing.

    See PF_EXITING among the flags of proc_pid_stat(5).
    """
    try:
        with open("/proc/%d/stat" % pid, "rb") as fields:
            return bool(int(fields.read().rpartition(b")")[2].split()[6]) & 4)
    except OSError:
        return True


def locked_files(pid: int) -> "Set[str]":
    """Return the paths of the files that a process has locked for writing.

    The lock of pacman is a file that is open.
    """
    found = set()
    for number in _listed("/proc/%d/fdinfo" % pid):
        try:
            path = os.readlink("/proc/%d/fd/%s" % (pid, number))
            with open("/proc/%d/fdinfo/%s" % (pid, number), "rb") as info:
                lines = info.read().split(b"\n")
        except OSError:
            continue  # it was closed meanwhile
        if path.endswith(LOCKS["pacman"]) or any(
            line.startswith(b"lock:") and b" WRITE " in line for line in lines
        ):
            found.add(path.partition(" (deleted)")[0])
    return found


def _is_locked_by(pid: int, name: str) -> bool:
    """Whether a process that may not be looked at holds any lock, if its program has one."""
    if name not in LOCKS and name not in _APT:
        return True
    try:
        with open("/proc/locks", "rb") as locks:
            return any(b" WRITE %d " % pid in line for line in locks.read().split(b"\n"))
    except OSError:
        return False


def is_on_terminal(pid: int) -> bool:
    """Whether the output of a process goes to a terminal."""
    for number in "12":
        try:
            if os.readlink("/proc/%d/fd/%s" % (pid, number)).startswith(("/dev/pts/", "/dev/tty")):
                return True
        except OSError:
            pass  # it is closed
    return False


def _listed(folder: str) -> "Iterable[str]":
    try:
        return os.listdir(folder)
    except OSError:
        return ()  # it has ended, or may not be looked at
