# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a host, read from the kernel of the machine.

No program on the host is asked or believed.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

PROC = Path("/proc")

#: A host's own processes: sshd and its session processes. Where systemd is pid 1, also the buses,
#: polkit, and all programs in its directory.
_OWN = ("sshd", "sshd-session", "sshd-auth", "dropbear", "dbus-daemon", "polkitd", "agetty")
_OWN_DIRECTORIES = ("/usr/lib/systemd", "/lib/systemd")

#: Seconds for which a process that forks all the time is followed.
_PURSUIT_SECONDS = 0.1

#: ioctl of a namespace's descriptor, see ioctl_ns(2): it returns a new descriptor, of the namespace
#: above.
_NS_GET_PARENT = 0xB702


@dataclass(frozen=True)
class ProcessId:
    """Identity of a process of this machine.

    It is the pid and the start time in clock ticks since boot. The two together are never used
    twice.
    """

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Return the process that has this pid now. Raises ProcessLookupError."""
        return cls(pid, _Stat.read(pid).start)

    def alive(self) -> bool:
        """Whether it exists and is no zombie."""
        try:
            stat = _Stat.read(self.pid)
        except ProcessLookupError:
            return False
        return stat.start == self.start and stat.state not in "ZX"

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal. Nothing happens if it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # The pidfd pins the process: the start time is checked after the pidfd was opened, so
            # it can't change later.
            if self.alive():
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass  # It ended between the check and the signal, which is what was wanted.
        finally:
            os.close(descriptor)

    def wait(self, deadline: float) -> bool:
        """Wait until it has ended (a zombie has).

        Return False if `deadline`, in seconds of time.monotonic(), came first.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            ready, dummy, dummy = select.select(
                [descriptor], [], [], max(0.0, deadline - time.monotonic())
            )
            return bool(ready)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class HostProcess:
    """One process of a host."""

    pid: int  #: in the host's own process table
    outer_pid: int  #: on this machine
    ppid: int  #: in the host's own process table; 0 if the parent is outside
    user: str  #: real user: account name, or the uid in digits
    state: str  #: one letter of /proc/PID/stat; T is stopped, Z a zombie
    command: str  #: the arguments joined by spaces; the name in brackets if there are none
    environ: Mapping[str, str] | None  #: as it was at exec; None if it can't be read
    start: int  #: clock ticks since the machine booted
    #: Whether it belongs to the host itself: its init, sshd (or dropbear) and sshd's session
    #: processes.
    system: bool

    @property
    def id(self) -> ProcessId:
        """Its identity on this machine."""
        return ProcessId(self.outer_pid, self.start)


@dataclass(frozen=True)
class _Stat:
    name: str
    state: str
    ppid: int
    start: int

    @classmethod
    def read(cls, pid: int) -> _Stat:
        try:
            text = (PROC / str(pid) / "stat").read_text(errors="replace")
        except FileNotFoundError:
            raise ProcessLookupError(pid) from None
        # The name may hold spaces and brackets: the fields begin behind the last bracket.
        head, dummy, rest = text.rpartition(")")
        fields = rest.split()
        return cls(head.partition("(")[2], fields[0], int(fields[1]), int(fields[19]))


def all_pids() -> list[int]:
    """Return every pid of this machine."""
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def namespace_of(pid: int) -> str:
    """Return the pid namespace, such as `pid:[4026531836]`.

    It is empty if the process is gone or is another user's.
    """
    try:
        return os.readlink(PROC / str(pid) / "ns/pid")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def read_environ(pid: int) -> dict[str, str] | None:
    """Return the environment at exec; None if it can't be read."""
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    pairs = (item.partition("=") for item in raw.decode(errors="replace").split("\0") if item)
    return {name: value for name, dummy, value in pairs}


def members(inits: Iterable[int]) -> dict[int, set[int]]:
    """Return the members of several pid namespaces.

    `inits` are the first processes of namespaces. Each of them is mapped to the pids of this
    machine in its namespace and in those nested below it. One pass over /proc is enough for any
    number of namespaces.
    """
    wanted = {namespace_of(init): init for init in inits}
    wanted.pop("", None)
    found: dict[int, set[int]] = {init: set() for init in wanted.values()}
    owners: dict[str, int | None] = {"": None, namespace_of(os.getpid()): None, **wanted}
    for pid in all_pids():
        namespace = namespace_of(pid)
        if namespace not in owners:
            owners[namespace] = next(
                (wanted[above] for above in _namespaces_above(pid) if above in wanted), None
            )
        owner = owners[namespace]
        if owner is not None:
            found[owner].add(pid)
    return found


def _namespaces_above(pid: int) -> Iterator[str]:
    try:
        descriptor = os.open(PROC / str(pid) / "ns/pid", os.O_RDONLY)
    except OSError:
        return  # It is gone, or another user's: it is no host of ours.
    try:
        while True:
            above = fcntl.ioctl(descriptor, _NS_GET_PARENT)
            os.close(descriptor)
            descriptor = above
            yield os.readlink(PROC / "self/fd" / str(descriptor))
    except PermissionError:
        return  # The parent is not below this process's own namespace: the way up ends here.
    finally:
        os.close(descriptor)


def descendants(root: int) -> set[int]:
    """Return `root` and the pids of all that is below it by parentage."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        try:
            children.setdefault(_Stat.read(pid).ppid, []).append(pid)
        except ProcessLookupError:
            continue  # It has ended since the listing.
    found, todo = {root}, [root]
    while todo:
        below = [child for child in children.get(todo.pop(), ()) if child not in found]
        found.update(below)
        todo += below
    return found


def _children(pid: int) -> Iterator[int]:
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            yield from map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return  # It has ended.


def _below(root: int) -> list[int]:
    found = [root]
    for pid in found:  # The list grows during the walk.
        found += _children(pid)
    return found


def read_host(
    init: int, pids: Iterable[int], depth: int, user_name: Callable[[int], str]
) -> list[HostProcess]:
    """Return what was alive on the host of `init` at any moment of this call, by its pid there.

    `pids` are those found by a scan. A scan misses what forks and exits faster than the machine's
    table is scanned. A walk down from pid 1 takes so little time that it meets such a process
    sooner or later. So walks are repeated until two in a row have found an equal set, and lost no
    process.
    """
    table = {pid: process for pid in pids if (process := read_process(pid, depth, user_name))}
    deadline = time.monotonic() + _PURSUIT_SECONDS
    before: set[int] = set()
    while time.monotonic() < deadline:
        walked = {pid: read_process(pid, depth, user_name) for pid in _below(init)}
        table.update((pid, process) for pid, process in walked.items() if process)
        if None not in walked.values() and before == walked.keys():
            break
        before = set(walked)
    return _with_inner_parents(table)


def read_table(pids: Iterable[int], user_name: Callable[[int], str]) -> list[HostProcess]:
    """Return the processes that have these pids, for hosts without a namespace of their own."""
    return _with_inner_parents(
        {pid: process for pid in pids if (process := read_process(pid, 0, user_name))}
    )


def _with_inner_parents(table: Mapping[int, HostProcess]) -> list[HostProcess]:
    # Up to here, ppid is the outer one.
    translated = [
        replace(one, ppid=table[one.ppid].pid if one.ppid in table else 0) for one in table.values()
    ]
    return sorted(translated, key=lambda one: one.pid)


def select_processes(
    table: Iterable[HostProcess], match: str, *, system: bool, zombies: bool
) -> list[HostProcess]:
    """Return the processes whose command line has the regular expression.

    The host's own ones and zombies are in it only if asked for.
    """
    return [
        one
        for one in table
        if (system or not one.system)
        and (zombies or one.state not in "ZX")
        and re.search(match, one.command)
    ]


def read_process(pid: int, depth: int, user_name: Callable[[int], str]) -> HostProcess | None:
    """Return one process, with its outer ppid; None if it has ended.

    `depth` is the number of namespaces between this one and its host's; 0 is this one.
    """
    try:
        stat = _Stat.read(pid)
        status = dict(
            line.split(":", 1)
            for line in (PROC / str(pid) / "status").read_text(errors="replace").splitlines()
            if ":" in line
        )
        command = (
            (PROC / str(pid) / "cmdline")
            .read_bytes()
            .rstrip(b"\0")
            .replace(b"\0", b" ")
            .decode(errors="replace")
        )
    except (FileNotFoundError, ProcessLookupError):
        return None
    inner = status["NSpid"].split()[depth:]
    if not inner:
        return None
    uid = int(status["Uid"].split()[0])
    command = command or f"[{stat.name}]"
    return HostProcess(
        pid=int(inner[0]),
        outer_pid=pid,
        ppid=stat.ppid,
        user=user_name(uid),
        state=stat.state,
        command=command,
        environ=read_environ(pid),
        start=stat.start,
        system=_is_system(pid, int(inner[0]), command),
    )


def _is_system(pid: int, inner: int, command: str) -> bool:
    if inner == 1 or command.endswith("/host-rc"):
        return True
    try:
        directory, program = os.path.split(os.readlink(PROC / str(pid) / "exe"))
    except OSError:
        return False
    return program in _OWN or directory in _OWN_DIRECTORIES


def depth_of(init: int) -> int:
    """Return how many pid namespaces the namespace of `init` is below that of this process."""
    status = (PROC / str(init) / "status").read_text()
    return len(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()) - 2
