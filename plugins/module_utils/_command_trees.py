# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The commands of all runs that have something alive on a host, each with its tree, its supervisor and its task.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

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
    from ansible_collections.treekill.remote.plugins.module_utils._process_table import Process

# Names a run and a lease anywhere in a text: the script of the root, and the command lines of the shells and of the sudo above it.
_NAMED = re.compile(b"TREEKILL=([0-9a-f]{16})/([0-9a-f]{8})/")


class CommandTree:
    """What is alive of one command, one lease of one run.

    members: all its processes, parents before children. roots: those of them that began the command: none where it has returned, two where it was
    sent twice. cookies: what its processes carry. supervisor: the member that is one; ending: whether it is ending the tree. task: as the supervisor
    tells it. kept: whether its task may lose its connection and go on. spared: how many processes C(TREEKILL=spare) takes out.
    """

    def __init__(self, run: "str", lease: "str", search: "TreeSearch", cookies: "Set[Cookie]", kept: "bool") -> "None":
        self.run = run
        self.lease = lease
        self.members: List[Process] = list(search.members.values())
        self.roots: List[Process] = [process for process in self.members if process.id in search.roots]
        self.spared = len(search.spares)
        self.cookies = cookies
        self.kept = kept
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
        """Find it among the members: by its title, which has to name this very command."""
        for process in self.members:
            title = b" ".join(snapshot.arguments(process.id.pid)).decode("utf-8", "replace")
            for begin in (SUPERVISOR_TITLE, ENDING_TITLE):
                name = "%s of run %s, lease %s" % (begin, self.run, self.lease)
                if title.startswith(name):
                    self.supervisor = process
                    self.ending = begin == ENDING_TITLE
                    self.task = title[len(name) :].lstrip(":").strip() or None


def command_trees(snapshot: "Snapshot", own_pid: "int") -> "List[CommandTree]":
    """Every command with something alive, but this process and what stands above it. Ordered by run, and then by age."""
    cookies: Dict[Tuple[str, str], Set[Cookie]] = {}
    kept: Set[Tuple[str, str]] = set()
    for pid, environment in snapshot.environments(snapshot.pids()):
        for cookie in cookies_in(environment or b""):
            cookies.setdefault((cookie.run, cookie.lease), set()).add(cookie)
            if KEEP.encode() in (environment or b"").split(b"\0"):
                kept.add((cookie.run, cookie.lease))
        for run, lease in claims_in(snapshot.arguments(pid)):
            cookies.setdefault((run, lease), set())
            if KEEP.encode() in snapshot.arguments(pid)[2]:
                kept.add((run, lease))
    trees = []
    for (run, lease), carried in cookies.items():
        search = TreeSearch(CookieMatch(run, lease), snapshot, own_pid)
        search.scan()
        if search.members:
            tree = CommandTree(run, lease, search, carried, (run, lease) in kept)
            tree.meet_supervisor(snapshot)
            trees.append(tree)
    return sorted(trees, key=lambda tree: (tree.run, min(process.id.start for process in tree.members), tree.lease))


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
