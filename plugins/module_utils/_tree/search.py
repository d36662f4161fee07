# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which processes belong to the tree of a lease: the evidence, gathered scan by scan.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.

A process is in the tree if its environment holds the cookie (a holder), if it is the root, or if it stands below one of these.
The root is known by its own command line, which sets the cookie. The pid that a cookie names is only a place to look: a job can write
any number into the environment of what it starts. Nor is a cookie evidence where systemd has handed it on to a service: see _service_unit.
An ssh server of root's below the tree, and the logins that it serves, are not in the tree.
Once in, always in, whatever a process does to its environment or parents afterwards.

A pid is fixed to its start time first; then the evidence is read; a signal is sent only if the pid still has that start time. So the
evidence is of the process that gets the signal. A parent is one only if it was the same process before and after its child was read.
"""

from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import is_exempt
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, List, Optional, Sequence, Set

    from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import CookieMatch
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessId,
        ProcessTable,
    )

#: Up to so many processes, reading all of them again costs some milliseconds and is always worth it.
_FEW_PROCESSES = 1000
#: Up to so many pids that were given since the last scan, asking for each is cheaper than listing those of a whole host.
_FEW_BIRTHS = 100
#: What serves a login: of OpenSSH before and from 9.8 on. ps has a colon behind the name.
_SERVERS = ("sshd", "sshd-session", "sshd-auth", "dropbear")


class TreeSearch:
    """The tree of a lease as far as it is known, as it stood when each process was found.

    members: what was found, parents before children. roots: those of them that began a command.
    exempt: what C(TREEKILL=spare) took out; logins: those of them that are ssh servers instead.
    unreadable: how many environments the last complete scan was not allowed to read.
    vanished: whether a process was gone in the last scan before we could read it. missed: the pid of the last holder or orphan that was gone when
    we turned to it. Both say that somebody may be running from us.
    """

    def __init__(self, match: "CookieMatch", table: "ProcessTable", own_pid: int) -> None:
        self.members: Dict[ProcessId, Process] = {}
        self.roots: Set[ProcessId] = set()
        self.exempt: Dict[ProcessId, Process] = {}
        self.logins: Set[ProcessId] = set()
        self.vanished = False
        self.missed = 0
        self.match = match
        self._table = table
        self._own_pid = own_pid
        own = table.process(own_pid)
        self._untouchable = {0, 1, own_pid}
        if own is not None:
            self._untouchable.update(process.id.pid for process in ancestors(own, table.process))
        self._member_pids: Dict[int, ProcessId] = {}
        self._exempt_pids: Dict[int, ProcessId] = {}
        self._unreadable: Set[int] = set()
        self._dead: Set[int] = set()
        self._unsettled: Set[int] = set()
        self._seen: Set[int] = set()
        self._last_pid: Optional[int] = None
        self._leaders: Dict[int, int] = {}

    def include_children_of(self, pid: int, leader: int = 0) -> None:
        """All that stands below this process, which gets every orphan, is in the tree. leader: which of its children began the command, if one did."""
        process = self._table.process(pid)
        if process is not None and self._member_pids.setdefault(pid, process.id) == process.id:
            self._leaders[pid] = leader

    def includes_children_of(self, pid: int) -> bool:
        """Whether include_children_of() named it."""
        return pid in self._leaders

    @property
    def unreadable(self) -> int:
        """The number of processes whose environment could not be read."""
        return len(self._unreadable)

    def scan(self, complete: bool = False) -> "List[Process]":
        """Look at what may belong to the tree and was not looked at yet; the new members, parents before children.

        The first scan reads every environment. After it, a process can come into the tree in two ways only. It is born in it: then its
        pid is new to us. Or it stood outside, as what becomes the root by exec (a login shell, sudo), or as a root that had started
        nothing yet. Both mean that the command was only just arriving, so everything is read again as long as nothing of it was found,
        and afterwards new pids only: on a host with thousands of processes a scan where nobody was born takes microseconds.
        complete is for the scan that decides that nobody is left: it lists all, and where they are few reads all again, which also finds a
        command that arrived twice, by a connection plugin that tried again.
        """
        last, self._last_pid = self._last_pid, self._table.last_pid()
        self.missed = 0
        before = len(self.members)
        pids = None if complete else self._births(last)
        if pids is None:
            pids = self._listing(last, complete)
        self._unsettled.clear()
        holders = self._read(pids)
        self.take_orphans()
        for pid in holders:
            self.take_holder(pid)
        if before:
            self._take_children(pids)
        elif not self.members:
            from ansible_collections.treekill.remote.plugins.module_utils._tree.roots_by_command_line import (
                take_roots_by_command_line,
            )

            take_roots_by_command_line(self, self._table, pids)
        return list(self.members.values())[before:]

    def _births(self, last: "Optional[int]") -> "Optional[List[int]]":
        """The pids that were given since the last scan, where the kernel tells and they are few; None if there is no way but to list all.

        Pids are given in ascending order, from the beginning again at the end. They go to threads as well, and to who is gone by now.
        A process shows a moment after it was given its pid, so those given shortly before are asked for once more.
        """
        newest = self._last_pid
        if (
            newest is None
            or last is None
            or not 0 <= newest - last <= _FEW_BIRTHS
            or not self.members
            or self.match.any_lease
        ):
            return None
        pids = list(self._unsettled)
        self.vanished = False
        for pid in range(max(last - _FEW_BIRTHS, 0) + 1, newest + 1):
            if pid > last or pid not in self._seen:
                leader = self._table.thread_group(pid)
                if leader == pid:
                    pids.append(pid)
                elif leader is None and pid > last:
                    self.vanished = True
        return pids

    def _listing(self, last: "Optional[int]", complete: bool) -> "List[int]":
        """All pids, or those that are new to us."""
        self.vanished = False
        pids = self._table.pids()
        if not self.members or complete and len(pids) <= _FEW_PROCESSES or self.match.any_lease:
            self._unreadable.clear()
            self._seen.intersection_update(pids)
            return pids
        self._forget_reused(last)
        self._seen.intersection_update(pids)
        return [pid for pid in pids if pid not in self._seen]

    def holds_pid(self, pid: int) -> bool:
        """Whether a pid is that of a living member: one that has ended is the parent of no process."""
        known = self._member_pids.get(pid)
        process = self._table.process(pid) if known is not None else None
        return process is not None and process.id == known

    def above(self, process: "Process") -> "List[Process]":
        """What stands above a process and is not in the tree, nearest first."""
        return [
            parent
            for parent in ancestors(process, self._table.process)
            if parent.id not in self.members
        ]

    def _forget_reused(self, last: "Optional[int]") -> None:
        """Take for unseen each pid that was given away since the last scan: whom we saw there is gone.

        Where the kernel does not tell, a pid that went from a stranger to the tree between two listings waits for a complete scan.
        """
        newest = self._last_pid
        if newest is not None and last is not None and newest != last:
            low, high = sorted((last, newest))
            self._seen = {pid for pid in self._seen if (low < pid <= high) != (last < newest)}

    def _read(self, pids: "Sequence[int]") -> "List[int]":
        """Read the environments; the pids that hold the cookie."""
        holders: List[int] = []
        empty = []
        read = 0
        see = self._seen.add
        for pid, environment in self._table.environments(pids):
            read += 1
            if environment == b"":
                empty.append(pid)
                continue
            see(pid)
            if environment is None:
                self._unreadable.add(pid)
            elif b"TREEKILL=" in environment:
                self._sort(pid, environment, holders)
        if read < len(pids):
            self.vanished = True
        for pid in empty:
            self._look_closer(pid, holders)
        return holders

    def _sort(self, pid: int, environment: bytes, holders: "List[int]") -> None:
        if self.match.named_root(environment) is not None:
            holders.append(pid)
        elif is_exempt(environment):
            process = self._table.process(pid)
            # Read again, now that the pid is fixed to a process.
            if process is not None and is_exempt(self._table.environment(pid)):
                self._exempt_pids[pid] = process.id

    def _is_exempt(self, process: "Process") -> bool:
        return self._exempt_pids.get(process.id.pid) == process.id

    def _is_login(self, process: "Process") -> bool:
        """Whether a process is an ssh server of root's. Another user can give a process that name, and not that user id."""
        return (
            process.comm.rstrip(":") in _SERVERS and self._table.effective_uid(process.id.pid) == 0
        )

    def _is_of_another_service(self, pid: int) -> bool:
        from ansible_collections.treekill.remote.plugins.module_utils._tree.systemd import (
            is_of_another_service,
        )

        return is_of_another_service(self._table, pid, self._own_pid)

    def _look_closer(self, pid: int, holders: "List[int]") -> None:
        """Who shows no environment is the kernel's own, dead, in the middle of exec, without its first thread, or has none."""
        process = self._table.process(pid)
        if process is not None and process.kernel:
            self._seen.add(pid)
        elif process is not None and process.alive:
            self._unsettled.add(pid)
            self._sort(pid, self._table.environment(pid), holders)
        elif pid not in self._dead and pid not in self._member_pids:
            self._dead.add(pid)
            self.vanished = True

    def is_root(self, process: "Process") -> bool:
        """Whether a process began a command: it claims to, or it holds a cookie with its own pid, being what such a process became by exec."""
        return self.claims(process) or self.named_root(process.id.pid) == process.id.pid

    def claims(self, process: "Process") -> bool:
        """Whether a process says by its command line that it is the root."""
        return self.match.claimed_by(self._table.arguments(process.id.pid))

    def take_holder(self, pid: int) -> None:
        """Take a holder, or with it everything from the root down. The pid that its cookie names is a place to look: any number can be written there."""
        process = self._table.process(pid)
        if process is None:
            self.missed = pid
        if process is None or process.id in self.members or process.id in self.exempt:
            return
        # Read again, now that we know who it is: the pid may have changed hands since the environment was read.
        environment = self._table.environment(pid)
        named = self.match.named_root(environment)
        if named is None:
            self.missed = pid
            return
        if b"INVOCATION_ID=" in environment and self._is_of_another_service(pid):
            return
        top = None if self._is_login(process) else self.top(process)
        if top is not None:
            self.take(top, self.is_root(top))
        root = self._table.process(named)
        if (
            root is not None
            and root.id not in self.members
            and self.claims(root)
            and self._table.thread_group(named) == named
        ):
            self.take(self.top(root) or root, True)

    def named_root(self, pid: int) -> "Optional[int]":
        """The root that the cookie of a process names, None if it holds none."""
        return self.match.named_root(self._table.environment(pid))

    def top(self, process: "Process") -> "Optional[Process]":
        """The root above a process, the process itself without one, None if something between the two takes it out."""
        top = process
        taken_out = False
        exempt = self._is_exempt(process)
        for parent in ancestors(process, self._table.process):
            if self._is_login(parent):
                break  # the login began there, whatever has started its server
            if parent.id in self.exempt:
                return None
            if parent.id in self.members or self.claims(parent):
                top = parent
                taken_out = exempt
            exempt = exempt or self._is_exempt(parent)
        return None if taken_out else top

    def _take_children(self, pids: "Iterable[int]") -> None:
        """Take those whose parent is a member."""
        for pid in pids:
            process = self._table.process(pid)
            # Asked for the parent after the child was read: then it was its parent.
            if (
                process is not None
                and process.id not in self.members
                and self.holds_pid(process.ppid)
                and not self._leave_out(process)
            ):
                self.take(process, False)

    def take_orphans(self) -> None:
        """Take the children of the processes that include_children_of() named."""
        for parent, leader in self._leaders.items():
            children = self._table.children(parent)
            process = self._table.process(parent)
            # Asked afterwards: then the children were its own.
            if process is not None and process.id == self._member_pids[parent]:
                for pid in children:
                    self._take_orphan(pid, parent, pid == leader)

    def _take_orphan(self, pid: int, parent: int, is_root: bool) -> None:
        # Asked before anything is read: what we notice only now, it has died since it was listed.
        known = pid in self._dead or pid in self._member_pids
        process = self._table.process(pid)
        if pid in self._untouchable or process is not None and self._leave_out(process):
            return
        if process is None or process.ppid != parent or not process.alive and not known:
            # It ended under our eyes. What it has started gets the same parent, after our look.
            self._dead.add(pid)
            self.missed = pid
        elif process.id not in self.members and self.holds_pid(parent):
            self.take(process, is_root)

    def take(self, top: "Process", is_root: bool) -> None:
        """Take a process and all that stands below it."""
        if is_root and top.id.pid not in self._untouchable:
            self.roots.add(top.id)
        self._add(top, self.members)
        for process in self._below(top, self._leave_out):
            self._add(process, self.members)

    def _below(self, top: "Process", leave_out: "Callable[[Process], bool]") -> "List[Process]":
        """What stands below a process, parents before children. What leave_out says True to is not in it, nor what can be reached through it only."""
        order: List[Process] = []
        known = {top.id.pid}
        parents = [top]
        while parents:
            children: List[Process] = []
            for parent in parents:
                for child in self._children(parent):
                    if child.id.pid not in known and not leave_out(child):
                        known.add(child.id.pid)
                        children.append(child)
            order += children
            parents = children
        return order

    def _children(self, parent: "Process") -> "List[Process]":
        """The children of this very process. A list of pids is older than what is read of each: by then a pid may be a stranger's.

        A child still says who its parent is, or has lost it and was there before the list was.
        """
        before = self._table.now()
        pids = self._table.children(parent.id.pid)
        if not pids or not self._is_still(parent):
            return []
        listed = [process for process in map(self._table.process, pids) if process is not None]
        still = self._is_still(parent)
        return [
            one for one in listed if still and one.ppid == parent.id.pid or one.id.start < before
        ]

    def _is_still(self, process: "Process") -> bool:
        now = self._table.process(process.id.pid)
        return now is not None and now.id == process.id

    def _leave_out(self, process: "Process") -> bool:
        pid = process.id.pid
        if pid == self._own_pid:
            return True
        if self._is_login(process):
            # What it serves is not named either: that is other people's.
            self.logins.add(process.id)
            self._add(process, self.exempt)
            return True
        if pid not in self._seen:
            self._read((pid,))
        if not self._is_exempt(process):
            return False
        for one in [process, *self._below(process, lambda below: below.id.pid == self._own_pid)]:
            self._add(one, self.exempt)
        return True

    def _add(self, process: "Process", to: "Dict[ProcessId, Process]") -> None:
        if process.id in to or process.id.pid in self._untouchable or not process.alive:
            return
        to[process.id] = process
        if to is self.members:
            self._member_pids[process.id.pid] = process.id
