# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The commands of all runs that are alive on a host, each with its tree, supervisor and task.

Any user can write the cookie of any command into an environment. So the processes of one lease are
sorted by what can't be written: the root above each process, and the user of the process. See
docs/how_it_kills.md.
"""

import base64
import re
from itertools import islice

from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    KEEP,
    CookieMatch,
    is_exempt,
    parse_cookie,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_title import (
    ENDING_TITLE,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
from ansible_collections.treekill.remote.plugins.module_utils._process.title import SUPERVISOR_TITLE
from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Set, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import Cookie
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessId,
    )

#: Finds a run and a lease anywhere in a text. Such texts are the script of the root, and the
#: command lines of the shells and of the sudo above it.
_NAMED = re.compile(b"TREEKILL=([0-9a-f]{16})/([0-9a-f]{8})/")
#: Any user decides what an environment or a command line says, and each command named there is
#: looked for. So only one cookie and one claim of each process count: its first cookie, and the
#: first claim among this many mentions. A real command has one of each.
_MOST_MENTIONS = 4


class CommandTree:
    """The living processes of one command, which is one lease of one run.

    They are those of one user's roots. Processes without a root are those of one user.

    user: the user id of the roots, or of the processes without a root.
    members: all its processes, parents before children.
    roots: those members that began the command: none if it has returned, two if it was sent twice.
    cookies: the cookies of its processes.
    supervisor: the member that is one.
    ending: whether the supervisor is ending the tree.
    task: its name in the supervisor's title.
    kept: whether its task may lose its connection and go on.
    spared: number of exempt processes and ssh servers.
    """

    def __init__(self, run: str, lease: str, user: "Optional[int]") -> None:
        self.run = run
        self.lease = lease
        self.user = user
        self.members: List[Process] = []
        self.roots: List[Process] = []
        self.spared = 0
        self.cookies: Set[Cookie] = set()
        self.kept = False
        self.supervisor: Optional[Process] = None
        self.ending = False
        self.task: Optional[str] = None
        self.state = ""
        self.reason = ""

    @property
    def secret(self) -> bool:
        """Whether its command lines must not be shown.

        A supervisor that does not name its task has a task with `no_log`.
        """
        return self.supervisor is not None and self.task is None

    def meet_supervisor(self, snapshot: "Snapshot") -> None:
        """Find the supervisor among the members.

        Its title has to name this very command, and its user has to be that of the roots. A
        supervisor below it is not this one.
        """
        for process in self.members:
            if self.supervisor is not None or snapshot.effective_uid(process.id.pid) != self.user:
                continue
            title = b" ".join(snapshot.arguments(process.id.pid)).decode("utf-8", "replace")
            for begin in (SUPERVISOR_TITLE, ENDING_TITLE):
                name = "%s of run %s, lease %s" % (begin, self.run, self.lease)
                if title.startswith(name):
                    self.supervisor = process
                    self.ending = begin == ENDING_TITLE
                    self.task = task_name(title[len(name) :].lstrip(":").strip()) or None


def task_name(word: str) -> str:
    """Return the name of a task from its supervisor's title.

    It is in base64 there, so that no pattern for other processes matches it.
    """
    try:
        return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode("utf-8")
    except ValueError:
        return word


def command_trees(snapshot: "Snapshot", own_pid: int) -> "List[CommandTree]":
    """Return every command with living processes, ordered by run, and then by age.

    This process and those above it are left out.
    """
    part = _Part(snapshot)
    trees: List[CommandTree] = []
    for run, lease in part.named:
        part.show(run, lease)
        search = TreeSearch(CookieMatch(run, lease), part, own_pid)
        search.scan()
        trees.extend(_by_root(run, lease, search, part))
    return sorted(
        trees,
        key=lambda tree: (tree.run, min(process.id.start for process in tree.members), tree.lease),
    )


class _Part(Snapshot):
    """A snapshot that lists only the processes of one command at a time.

    A scan of all processes for each command would take hours if a user names thousands of commands.

    named: the processes that name each command.
    cookies, claims: the first one of each process.
    """

    def __init__(self, whole: "Snapshot") -> None:
        self.__dict__.update(whole.__dict__)
        self.named: Dict[Tuple[str, str], Dict[int, None]] = {}
        self.cookies: Dict[int, Cookie] = {}
        self.claims: Dict[int, Tuple[str, str]] = {}
        self._exempt: Set[int] = set()
        self._listed: List[int] = []
        for pid in whole.pids():
            environment = whole.environment(pid)
            if is_exempt(environment):
                self._exempt.add(pid)
            for cookie in islice(cookies_in(environment), 1):
                self.cookies[pid] = cookie
                self.named.setdefault((cookie.run, cookie.lease), {})[pid] = None
            for claim in islice(claims_in(whole.arguments(pid)), 1):
                self.claims[pid] = claim
                self.named.setdefault(claim, {})[pid] = None

    def show(self, run: str, lease: str) -> None:
        """List what names this command, and the exempt processes above that."""
        pids = dict(self.named[run, lease])
        for process in map(self.process, self.named[run, lease] if self._exempt else ()):
            if process is not None:
                pids.update(
                    dict.fromkeys(
                        one.id.pid
                        for one in ancestors(process, self.process)
                        if one.id.pid in self._exempt
                    )
                )
        self._listed = list(pids)

    def pids(self) -> "List[int]":
        """Return the pids of the present command."""
        return self._listed


def _by_root(run: str, lease: str, search: "TreeSearch", snapshot: "_Part") -> "List[CommandTree]":
    """Sort the processes of a lease by the user of each one's root.

    Processes without a root are sorted by their own user.
    """
    trees: Dict[Tuple[bool, Optional[int]], CommandTree] = {}
    place: Dict[ProcessId, CommandTree] = {}
    roots = {
        process.id.pid: process for process in search.members.values() if process.id in search.roots
    }
    for process in search.members.values():
        below = _nearest(process, place, snapshot)
        root = (
            process if process.id in search.roots else _root_named(process, roots, search, snapshot)
        )
        user = snapshot.effective_uid((root or process).id.pid)
        tree = (
            place[below]
            if below is not None
            else trees.setdefault((root is not None, user), CommandTree(run, lease, user))
        )
        place[process.id] = tree
        tree.members.append(process)
        if process.id in search.roots:
            tree.roots.append(process)
        _take_evidence(tree, process, below is not None, snapshot)
    for process in search.exempt.values():
        below = _nearest(process, place, snapshot)
        if below is not None:
            place[below].spared += 1
    for tree in trees.values():
        tree.meet_supervisor(snapshot)
    return list(trees.values())


def _nearest(
    process: "Process", place: "Dict[ProcessId, CommandTree]", snapshot: "Snapshot"
) -> "Optional[ProcessId]":
    """Return the nearest process above that is already sorted into a tree."""
    return next((one.id for one in ancestors(process, snapshot.process) if one.id in place), None)


def _root_named(
    process: "Process", roots: "Dict[int, Process]", search: "TreeSearch", snapshot: "Snapshot"
) -> "Optional[Process]":
    """Return the living root that the cookie of an orphan names.

    The root must not be younger than the orphan. Its user must be the same, or root, which can
    become any user.
    """
    pid = process.id.pid
    root = roots.get(search.named_root(pid) or 0)
    if root is None or root.id.start > process.id.start:
        return None
    return root if snapshot.effective_uid(root.id.pid) in (0, snapshot.effective_uid(pid)) else None


def _take_evidence(tree: "CommandTree", process: "Process", below: bool, snapshot: "_Part") -> None:
    """Record what a process shows about its tree.

    below: whether the process is in the tree. Otherwise it counts only if its user is the same.
    """
    pid = process.id.pid
    if not below and snapshot.effective_uid(pid) != tree.user:
        return
    cookie = snapshot.cookies.get(pid)
    carries = cookie is not None and (cookie.run, cookie.lease) == (tree.run, tree.lease)
    if cookie is not None and carries:
        tree.cookies.add(cookie)
    script = (
        b"".join(snapshot.arguments(pid)[2:3])
        if snapshot.claims.get(pid) == (tree.run, tree.lease)
        else b""
    )
    if (
        KEEP.encode() in script
        or carries
        and KEEP.encode() in snapshot.environment(pid).split(b"\0")
    ):
        tree.kept = True


def cookies_in(environment: bytes) -> "Iterator[Cookie]":
    """Yield the cookies of an environment: more than one if the variable was set twice."""
    if b"TREEKILL=" in environment:
        for entry in environment.split(b"\0"):
            if entry.startswith(b"TREEKILL="):
                try:
                    yield parse_cookie(entry[9:].decode("ascii", "replace"))
                except ValueError:
                    pass  # `spare`, or any other text


def claims_in(arguments: "List[bytes]") -> "Iterator[Tuple[str, str]]":
    """Yield (run, lease) of the commands whose root has this command line."""
    if len(arguments) == 3:
        for found in islice(_NAMED.finditer(arguments[2]), _MOST_MENTIONS):
            run, lease = found.group(1).decode(), found.group(2).decode()
            if CookieMatch(run, lease).claimed_by(arguments):
                yield run, lease


def runs_above(snapshot: "Snapshot", own_pid: int, own_environment: bytes) -> "Set[str]":
    """Return the ids of the runs that this process works for.

    That is its own run. If a task of another run runs that run, the other one belongs to them as
    well.

    They are found in its own environment, and in environments and command lines of all processes
    above it.
    """
    runs = {cookie.run for cookie in cookies_in(own_environment)}
    own = snapshot.process(own_pid)
    for process in [own, *ancestors(own, snapshot.process)] if own is not None else ():
        pid = process.id.pid
        runs.update(cookie.run for cookie in cookies_in(snapshot.environment(pid)))
        runs.update(
            run.decode() for run, dummy in _NAMED.findall(b"\0".join(snapshot.arguments(pid)))
        )
    return runs
