# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The commands of all runs that have something alive on a host, each with its tree, its supervisor and its task.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.

Any user can write the cookie of any command into an environment. So the processes of one lease are told apart by what can't be written:
which of its roots a process stands below, and whose the process is. See docs/how_it_kills.md.
"""

import base64
import re

from ansible_collections.treekill.remote.plugins.module_utils._cookie import KEEP, CookieMatch, parse_cookie
from ansible_collections.treekill.remote.plugins.module_utils._process_table import ancestors
from ansible_collections.treekill.remote.plugins.module_utils._process_tree import TreeSearch
from ansible_collections.treekill.remote.plugins.module_utils._standing_supervisor import ENDING_TITLE
from ansible_collections.treekill.remote.plugins.module_utils._supervisor_name import SUPERVISOR_TITLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._cookie import Cookie
    from ansible_collections.treekill.remote.plugins.module_utils._host_snapshot import Snapshot
    from ansible_collections.treekill.remote.plugins.module_utils._process_table import Process, ProcessId

# Names a run and a lease anywhere in a text: the script of the root, and the command lines of the shells and of the sudo above it.
_NAMED = re.compile(b"TREEKILL=([0-9a-f]{16})/([0-9a-f]{8})/")


class CommandTree:
    """What is alive of one command, one lease of one run, as one user's roots began it; or what is left of one without a root, of one user.

    user: the user id of the roots, or of what is left. members: all its processes, parents before children.
    roots: those of them that began the command: none where it has returned, two where it was sent twice. cookies: what its processes carry.
    supervisor: the member that is one; ending: whether it is ending the tree. task: as the supervisor tells it.
    kept: whether its task may lose its connection and go on. spared: how many processes C(TREEKILL=spare) takes out, and ssh servers.
    """

    def __init__(self, run: "str", lease: "str", user: "Optional[int]") -> "None":
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
    def secret(self) -> "bool":
        """Whether its command lines are not to be told: a supervisor that does not name its task has one with C(no_log)."""
        return self.supervisor is not None and self.task is None

    def meet_supervisor(self, snapshot: "Snapshot") -> "None":
        """Find it among the members: by its title, which has to name this very command, and by its user. What stands below it is none."""
        for process in self.members:
            if self.supervisor is not None or snapshot.user(process.id.pid) != self.user:
                continue
            title = b" ".join(snapshot.arguments(process.id.pid)).decode("utf-8", "replace")
            for begin in (SUPERVISOR_TITLE, ENDING_TITLE):
                name = "%s of run %s, lease %s" % (begin, self.run, self.lease)
                if title.startswith(name):
                    self.supervisor = process
                    self.ending = begin == ENDING_TITLE
                    self.task = task_name(title[len(name) :].lstrip(":").strip()) or None


def task_name(word: "str") -> "str":
    """The name of a task as its supervisor's title has it: in base64, so that no pattern for other processes matches it."""
    try:
        return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode("utf-8")
    except ValueError:
        return word


def command_trees(snapshot: "Snapshot", own_pid: "int") -> "List[CommandTree]":
    """Every command with something alive, but this process and what stands above it. Ordered by run, and then by age."""
    named: Dict[Tuple[str, str], None] = {}
    for pid, environment in snapshot.environments(snapshot.pids()):
        named.update(dict.fromkeys((cookie.run, cookie.lease) for cookie in cookies_in(environment or b"")))
        named.update(dict.fromkeys(claims_in(snapshot.arguments(pid))))
    trees: List[CommandTree] = []
    for run, lease in named:
        search = TreeSearch(CookieMatch(run, lease), snapshot, own_pid)
        search.scan()
        trees.extend(_by_root(run, lease, search, snapshot))
    return sorted(trees, key=lambda tree: (tree.run, min(process.id.start for process in tree.members), tree.lease))


def _by_root(run: "str", lease: "str", search: "TreeSearch", snapshot: "Snapshot") -> "List[CommandTree]":
    """The processes of a lease, told apart: by the user of the root that each belongs to, or by its own where it belongs to none."""
    trees: Dict[Tuple[bool, Optional[int]], CommandTree] = {}
    place: Dict[ProcessId, CommandTree] = {}
    roots = {process.id.pid: process for process in search.members.values() if process.id in search.roots}
    for process in search.members.values():
        below = _nearest(process, place, snapshot)
        root = process if process.id in search.roots else _root_named(process, roots, search, snapshot)
        user = snapshot.user((root or process).id.pid)
        tree = place[below] if below is not None else trees.setdefault((root is not None, user), CommandTree(run, lease, user))
        place[process.id] = tree
        tree.members.append(process)
        if process.id in search.roots:
            tree.roots.append(process)
        _take_evidence(tree, process, below is not None, snapshot)
    for spare in search.spares.values():
        below = _nearest(spare, place, snapshot)
        if below is not None:
            place[below].spared += 1
    for tree in trees.values():
        tree.meet_supervisor(snapshot)
    return list(trees.values())


def _nearest(process: "Process", place: "Dict[ProcessId, CommandTree]", snapshot: "Snapshot") -> "Optional[ProcessId]":
    """The nearest process above that has its place in a tree."""
    return next((one.id for one in ancestors(process, snapshot.process) if one.id in place), None)


def _root_named(process: "Process", roots: "Dict[int, Process]", search: "TreeSearch", snapshot: "Snapshot") -> "Optional[Process]":
    """The living root that the cookie of an orphan names: not a younger one, and of the same user, or of root's, who can become any user."""
    pid = process.id.pid
    root = roots.get(search.named_root(pid) or 0)
    if root is None or root.id.start > process.id.start:
        return None
    return root if snapshot.user(root.id.pid) in (0, snapshot.user(pid)) else None


def _take_evidence(tree: "CommandTree", process: "Process", below: "bool", snapshot: "Snapshot") -> "None":
    """What a process says about its tree. below: whether it stands in it; of what does not, only the same user's word counts."""
    pid = process.id.pid
    if not below and snapshot.user(pid) != tree.user:
        return
    environment = snapshot.environment(pid)
    cookies = [cookie for cookie in cookies_in(environment) if (cookie.run, cookie.lease) == (tree.run, tree.lease)]
    tree.cookies.update(cookies)
    script = snapshot.arguments(pid)[2] if (tree.run, tree.lease) in claims_in(snapshot.arguments(pid)) else b""
    if KEEP.encode() in script or cookies and KEEP.encode() in environment.split(b"\0"):
        tree.kept = True


def cookies_in(environment: "bytes") -> "List[Cookie]":
    """The cookies of an environment: one, unless somebody has set the variable twice."""
    found = []
    if b"TREEKILL=" in environment:
        for entry in environment.split(b"\0"):
            if entry.startswith(b"TREEKILL="):
                try:
                    found.append(parse_cookie(entry[9:].decode("ascii", "replace")))
                except ValueError:
                    pass  # C(spare), or whatever somebody has put there
    return found


def claims_in(arguments: "List[bytes]") -> "List[Tuple[str, str]]":
    """(run, lease) of the commands whose root a command line claims to be."""
    if len(arguments) != 3 or b"TREEKILL=" not in arguments[2]:
        return []
    named = [(run.decode(), lease.decode()) for run, lease in _NAMED.findall(arguments[2])]
    return [(run, lease) for run, lease in named if CookieMatch(run, lease).claimed_by(arguments)]


def runs_above(snapshot: "Snapshot", own_pid: "int", own_environment: "bytes") -> "Set[str]":
    """The ids of the runs that this process works for: its own, and where that is run by another run's task, that one.

    Told by its own environment, and by environment and command line of everybody above it.
    """
    runs = {cookie.run for cookie in cookies_in(own_environment)}
    own = snapshot.process(own_pid)
    for process in [own, *ancestors(own, snapshot.process)] if own is not None else ():
        pid = process.id.pid
        runs.update(cookie.run for cookie in cookies_in(snapshot.environment(pid)))
        runs.update(run.decode() for run, dummy in _NAMED.findall(b"\0".join(snapshot.arguments(pid))))
    return runs
