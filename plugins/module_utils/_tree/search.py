# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The evidence that a process belongs to the tree of a lease, gathered scan by scan.

A process is in the tree in four cases. Its environment holds the cookie (a holder), or it is the
root. It stands below one of these, or it is an orphan below the lease's supervisor. Once in the
tree, it stays in it, whatever it does to its environment or its parents.

The root is recognised by its own command line, which sets the cookie. The pid that a cookie names
is only a place to look: a job can write any number into the environment of what it starts. A cookie
is no evidence either if systemd has handed it on to a service: see systemd.py. An ssh server run by
root below the tree is not in the tree, and neither are the logins that it serves.

First a pid is fixed to its start time. Then the evidence is read. A signal is sent only if the pid
still has that start time. So the evidence is that of the process that gets the signal. A parent
counts only if it was the same process before and after its child was read.
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

#: Up to this many processes, reading all of them again costs some milliseconds, and is always worth
#: it.
_FEW_PROCESSES = 1000
#: Up to this many pids given since the last scan, asking for each is cheaper than listing those of
#: the whole host.
_FEW_BIRTHS = 100
#: Ticks in which an exec gives a process its command line and its environment, on a busy host.
_EXEC_TICKS = 50
#: Programs that serve a login: of OpenSSH before 9.8 and from then on. ps has a colon behind the
#: name.
_SERVERS = ("sshd", "sshd-session", "sshd-auth", "dropbear")


class TreeSearch:
    """The tree of a lease as far as it is known. Each process is recorded as it was when found.

    members: all that were found, parents before children.
    roots: those members that began a command.
    exempt: what `TREEKILL=spare` takes out, and ssh servers.
    logins: the exempt processes that are ssh servers.
    vanished: whether a process ended in the last scan before it could be read. It may have started
        another one, which the scan has not seen.
    missed: the pid of the last holder or orphan that had ended when it was looked at. Like
        vanished, it shows that a process may be escaping.
    last_pid: the pid that was given last when the last scan began; None if the kernel does not
        show it.

    These methods decide:

    - take_holder: whether a process with the cookie is in the tree, and from which root down.
    - top: which process above it is the root, and whether an exempt process lies in between.
    - claims, is_root: whether a process is a root, by its command line or by its own cookie.
    - _take_children, _children: whether a process is the child of a member.
    - take_orphans: whether a process is an orphan below the supervisor.
    - _leave_out: whether a process below a member is exempt, and all that stands below it.
    - _is_login: whether a process is an ssh server that root runs.
    - _is_of_another_service: whether systemd has handed the cookie on to a service.
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
        self._dead: Set[ProcessId] = set()
        self._blank: Dict[ProcessId, int] = {}
        self._unsettled: Set[int] = set()
        self._seen: Set[int] = set()
        self.last_pid: Optional[int] = None
        self._leaders: Dict[int, int] = {}

    def include_children_of(self, pid: int, leader: int = 0) -> None:
        """Take every process below this one; it adopts orphans.

        leader: which of its children began the command, if one did.
        """
        process = self._table.process(pid)
        if process is not None and self._member_pids.setdefault(pid, process.id) == process.id:
            self._leaders[pid] = leader

    def includes_children_of(self, pid: int) -> bool:
        """Whether include_children_of() was called for it."""
        return pid in self._leaders

    @property
    def unreadable(self) -> int:
        """Number of processes whose environment the last complete scan was not allowed to read."""
        return len(self._unreadable)

    def scan(self, complete: bool = False) -> "List[Process]":
        """Look at all that may be new in the tree. Return the new members, parents before children.

        The first scan reads every environment. After it, a process can come into the tree in only
        two ways. First, it is born in the tree: then its pid is new. Second, it stood outside: as a
        process that becomes the root by exec (a login shell, sudo), or as a root that had started
        nothing yet.

        The second way means that the command was only just arriving. So everything is read again as
        long as none of it was found, and after that only new pids. On a host with thousands of
        processes, a scan without a birth takes microseconds.

        complete: whether this scan decides that nothing is left. Then it lists all pids. If they
        are few it reads all environments again. This also finds a command that arrived twice, sent
        by a connection plugin that tried again.
        """
        last, self.last_pid = self.last_pid, self._table.last_pid()
        self.missed = 0
        before = len(self.members)
        seen = self._seen.copy() if self._leaders else self._seen
        pids = None if complete else self._births(last)
        if pids is None:
            pids = self._listing(last, complete)
        self._unsettled.clear()
        holders = self._read(pids)
        self.take_orphans()
        for pid in holders:
            self.take_holder(pid)
        if before:
            self._take_children(pids, seen)
        elif not self.members:
            from ansible_collections.treekill.remote.plugins.module_utils._tree.roots_by_command_line import (  # noqa: E501
                take_roots_by_command_line,
            )

            take_roots_by_command_line(self, self._table, pids)
        # A list of pids shows each living process, since new pids are larger than all others.
        if (self._table.last_pid() or 0) < (self.last_pid or 0):
            self.vanished = True
        return list(self.members.values())[before:]

    def recent(self) -> "List[int]":
        """Return the pids that were given shortly before the scan, and that it has not seen."""
        last = self.last_pid or 0
        return [
            pid for pid in range(max(last - _FEW_BIRTHS, 0) + 1, last + 1) if pid not in self._seen
        ]

    def _births(self, last: "Optional[int]") -> "Optional[List[int]]":
        """Return the pids given since the last scan; None if only a listing can show them.

        The kernel must show the last pid, and the pids must be few. Pids are given in ascending
        order, and start again from the beginning after the largest. Threads get them as well, and
        so did processes that have ended by now.

        A process appears a moment after it was given its pid. So the pids given shortly before are
        looked at once more.
        """
        newest = self.last_pid
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
        """Return all pids, or only those that were not seen yet."""
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
        """Whether a pid belongs to a living member: a member that has ended has no children."""
        known = self._member_pids.get(pid)
        process = self._table.process(pid) if known is not None else None
        return process is not None and process.id == known

    def above(self, process: "Process") -> "List[Process]":
        """Return the processes above a process that are not in the tree, nearest first."""
        return [
            parent
            for parent in ancestors(process, self._table.process)
            if parent.id not in self.members
        ]

    def _forget_reused(self, last: "Optional[int]") -> None:
        """Forget each pid that was given since the last scan: the process seen there is gone.

        If the kernel does not show the last pid, a complete scan finds such pids.
        """
        newest = self.last_pid
        if newest is not None and last is not None and newest != last:
            low, high = sorted((last, newest))
            self._seen = {pid for pid in self._seen if (low < pid <= high) != (last < newest)}

    def _read(self, pids: "Sequence[int]") -> "List[int]":
        """Read the environments. Return the pids that hold the cookie."""
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
            # Read it again, now that the pid is fixed to a process.
            if process is not None and is_exempt(self._table.environment(pid)):
                self._exempt_pids[pid] = process.id

    def _is_exempt(self, process: "Process") -> bool:
        return self._exempt_pids.get(process.id.pid) == process.id

    def _is_login(self, process: "Process") -> bool:
        """Whether a process is an ssh server run by root.

        Another user can give a process that name, but not that user id.
        """
        return (
            process.comm.rstrip(":") in _SERVERS and self._table.effective_uid(process.id.pid) == 0
        )

    def _is_of_another_service(self, pid: int) -> bool:
        from ansible_collections.treekill.remote.plugins.module_utils._tree.systemd import (
            is_of_another_service,
        )

        return is_of_another_service(self._table, pid, self._own_pid)

    def _look_closer(self, pid: int, holders: "List[int]") -> None:
        """Look again at a process without an environment.

        Such a process may be a thread of the kernel, dead or dying, in the middle of exec, or
        without its first thread. Or its environment is empty.
        """
        process = self._table.process(pid)
        if process is not None and process.kernel:
            self._seen.add(pid)
        elif process is not None and process.alive and not process.exiting:
            self._unsettled.add(pid)
            environment = self._table.environment(pid)
            self._sort(pid, environment, holders)
            if not environment and self.may_be_in_exec(process):
                self.vanished = True
        elif process is None or not self._is_known(process):
            if process is not None:
                self._dead.add(process.id)
            self.vanished = True

    def _is_known(self, process: "Process") -> bool:
        """Whether a process that is dead or dying was so before: all its children are older."""
        return process.id in self._dead or process.id in self.members

    def may_be_in_exec(self, process: "Process") -> bool:
        """Whether a process without an environment may be about to get one.

        In the middle of exec it has no command line either. A process that stays so has wiped out
        both.
        """
        if self._table.arguments(process.id.pid):
            return False
        now = self._table.now()
        return now - self._blank.setdefault(process.id, now) < _EXEC_TICKS

    def is_root(self, process: "Process") -> bool:
        """Whether a process began a command.

        Its command line is that of the root, or its cookie names its own pid: then it was such a
        process before an exec.
        """
        return self.claims(process) or self.named_root(process.id.pid) == process.id.pid

    def claims(self, process: "Process") -> bool:
        """Whether the command line of a process is that of the root."""
        return self.match.claimed_by(self._table.arguments(process.id.pid))

    def take_holder(self, pid: int) -> None:
        """Take a holder; if it has a root, everything from the root down.

        The pid that its cookie names is only a place to look: any number can be written there.
        """
        process = self._table.process(pid)
        if process is None:
            self.missed = pid
        if process is None or process.id in self.members or process.id in self.exempt:
            return
        # Read it again, now that the process is identified: the pid may have changed hands since
        # the environment was read.
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
            if process.id not in self.members:
                self._take_itself(process)
        root = self._table.process(named)
        if (
            root is not None
            and root.id not in self.members
            and self.claims(root)
            and self._table.thread_group(named) == named
        ):
            self.take(self.top(root) or root, True)

    def _take_itself(self, process: "Process") -> None:
        """Take a holder that was not below its root any more: its parent has just ended."""
        parents = [parent.id.pid for parent in ancestors(process, self._table.process)]
        if (
            process.id.pid in self._untouchable
            or self._own_pid in parents
            and self._own_pid not in self._leaders
            or process.id in self.exempt
            or self.top(process) is None
        ):
            return
        self.take(process, self.is_root(process))
        if process.id not in self.members:
            self.missed = process.id.pid

    def named_root(self, pid: int) -> "Optional[int]":
        """Return the root that the cookie of a process names; None if it holds none."""
        return self.match.named_root(self._table.environment(pid))

    def top(self, process: "Process") -> "Optional[Process]":
        """Return the root above a process, or the process itself if there is none.

        Return None if something between the two is exempt.
        """
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

    def _take_children(self, pids: "Iterable[int]", seen: "Set[int]") -> None:
        """Take the processes whose parent is a member.

        seen: pids that were looked at before.
        """
        for pid in pids:
            process = self._table.process(pid)
            if process is None and self._leaders and pid not in seen:
                self.vanished = True
            # The parent is looked up after the child was read: so it really was its parent.
            if (
                process is not None
                and process.id not in self.members
                and self.holds_pid(process.ppid)
                and not self._leave_out(process)
            ):
                self.take(process, False)

    def take_born(self, pids: "Sequence[int]", last: int) -> "List[int]":
        """Take those of some processes whose parent is a member.

        Return those that may be in the tree all the same. Their parent may have been, and was not
        looked at. Only below a supervisor can this be found out later.

        last: the largest pid that was looked at before.
        """
        left = []
        for pid in pids if self._leaders else ():
            process = self._table.process(pid)
            if process is None or process.ppid > last and process.ppid not in pids:
                left.append(pid)
            elif (
                process.id not in self.members
                and self.holds_pid(process.ppid)
                and not self._leave_out(process)
            ):
                self.take(process, False)
                if process.id not in self.members:
                    left.append(pid)
        return left

    def take_orphans(self) -> None:
        """Take the children of the processes for which include_children_of() was called."""
        for parent, leader in self._leaders.items():
            children = self._table.children(parent)
            process = self._table.process(parent)
            # Looked up afterwards: so the children were really its own.
            if process is not None and process.id == self._member_pids[parent]:
                for pid in children:
                    self._take_orphan(pid, parent, pid == leader)

    def _take_orphan(self, pid: int, parent: int, is_root: bool) -> None:
        process = self._table.process(pid)
        # Checked before anything else is read: a process that is noticed only now has died since it
        # was listed.
        known = process is not None and self._is_known(process)
        if pid in self._untouchable or process is not None and self._leave_out(process):
            return
        if process is None or process.ppid != parent or not process.alive and not known:
            # It ended during this scan. What it has started gets the same parent, after this look.
            if process is not None and process.ppid == parent:
                self._dead.add(process.id)
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
        """Return what stands below a process, parents before children.

        leave_out: processes for which it returns True are left out, and so is what is reachable
        only through them.
        """
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
        """Return the children of exactly this process.

        A list of pids is older than what is read of each: by then a pid may belong to another
        process. A real child still names its parent. Or it has lost its parent, and was there
        before the list was.
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
            # Its logins are not recorded either: they belong to other people.
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
