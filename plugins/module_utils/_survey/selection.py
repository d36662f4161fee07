# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a module is asked to end, and what of that it may: nothing above itself, nothing of the runs that it works for.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    ANY_LEASE,
    check_names,
    parse_cookie,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
from ansible_collections.treekill.remote.plugins.module_utils._survey import state as states
from ansible_collections.treekill.remote.plugins.module_utils._survey.rows import (
    age_of,
    process_and_descendants,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import Cookie
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import Process
    from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
    from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
        CommandTree,
    )


class Refused(ValueError):
    """It may not be ended; the text says why."""


class CommandsMatch:
    """Recognises the processes of some commands by their environments, as CookieMatch does those of one.

    commands: (run, lease) and the pids of the roots that are meant; none for every root. Roots themselves are known by other means.
    begun: (run, lease, pid of a root), and user id and start time of each process that is or was that root: 0 for a time that is not known.
    """

    any_lease = True

    def __init__(
        self,
        commands: "Dict[Tuple[str, str], Set[int]]",
        begun: "Optional[Dict[Tuple[str, str, int], List[Tuple[Optional[int], int]]]]" = None,
    ) -> None:
        self._commands = commands
        self._begun = begun or {}

    def named_root(self, environment: bytes) -> "Optional[int]":
        """The pid that a cookie of one of the commands names as root, None without such a cookie."""
        cookie = self._cookie(environment)
        return cookie.root if cookie is not None else None

    def believes(self, environment: bytes, start: int, user: "Optional[int]") -> bool:
        """Whether a process of that start time and user may have been started by one of the roots that are meant: not by a younger one or another user's."""
        cookie = self._cookie(environment)
        if cookie is None or not self._commands[cookie.run, cookie.lease]:
            return cookie is not None
        begun = self._begun.get((cookie.run, cookie.lease, cookie.root), [])
        return any(began <= start and of_user in (0, user) for of_user, began in begun)

    def _cookie(self, environment: bytes) -> "Optional[Cookie]":
        if self._commands and b"TREEKILL=" in environment:
            for entry in environment.split(b"\0"):
                if entry.startswith(b"TREEKILL="):
                    try:
                        cookie = parse_cookie(entry[9:].decode("ascii", "replace"))
                    except ValueError:
                        continue  # C(spare), or whatever somebody has put there
                    roots = self._commands.get((cookie.run, cookie.lease))
                    if roots is not None and (not roots or cookie.root in roots):
                        return cookie
        return None

    def claimed_by(self, dummy: "Sequence[bytes]") -> bool:
        """Nobody is taken for what only his command line says."""
        return False


class Selection:
    """What is to be ended. tops: processes that are known, parents before children; roots: those of them that began something. trees: the commands.

    left_alone: the commands that were asked for in general and are not touched. secret: whether command lines are not to be told.
    """

    def __init__(self) -> None:
        self.tops: List[Process] = []
        self.roots: List[Process] = []
        self.trees: List[CommandTree] = []
        self.left_alone: List[CommandTree] = []
        self.secret = False
        self._commands: Dict[Tuple[str, str], Set[int]] = {}
        self._begun: Dict[Tuple[str, str, int], List[Tuple[Optional[int], int]]] = {}

    def add(self, tree: "CommandTree", roots: bool) -> None:
        """A whole command; with roots, only what belongs to the roots that it has now, lest something else of the same lease be taken for it."""
        self.trees.append(tree)
        self.secret = self.secret or tree.secret
        self.tops.extend(tree.members)
        self.roots.extend(tree.roots)
        # Where the root is gone its number is all that is left of it.
        begun = {process.id.pid: process.id.start for process in tree.roots} or dict.fromkeys(
            [cookie.root for cookie in tree.cookies] or [0], 0
        )
        named = self._commands.setdefault((tree.run, tree.lease), set())
        for pid in begun if roots else ():
            named.add(pid)
            self._begun.setdefault((tree.run, tree.lease, pid), []).append((tree.user, begun[pid]))

    def match(self) -> "CommandsMatch":
        """What belongs to it, whoever is born meanwhile."""
        return CommandsMatch(self._commands, self._begun)


def select_runs(
    trees: "List[CommandTree]", params: "Dict[str, Any]", own: "Set[str]"
) -> "Selection":
    """The commands of the runs O(run), of those the leases O(lease). Raises Refused for a run that executes this, ValueError for a name that is none."""
    for run in params["run"]:
        for lease in params["lease"] or [ANY_LEASE]:
            check_names(run, lease)
        if run in own:
            raise Refused("run %s executes this very task: it is not ended from within" % run)
    if params["lease"] and len(params["run"]) != 1:
        raise Refused("a lease belongs to one run, and %d were given" % len(params["run"]))
    selection = Selection()
    for tree in trees:
        if tree.run in params["run"] and tree.lease in (params["lease"] or [tree.lease]):
            if tree.state in (states.LEFT, states.JOB) and not (
                params["left_behind"] or params["lease"]
            ):
                selection.left_alone.append(tree)
            else:
                selection.add(tree, roots=not (params["left_behind"] or params["lease"]))
    return selection


def select_abandoned(
    trees: "List[CommandTree]", snapshot: "Snapshot", older_than: "Optional[float]", own: "Set[str]"
) -> "Selection":
    """The commands that are abandoned."""
    selection = Selection()
    for tree in trees:
        if (
            tree.state == states.ABANDONED
            and tree.run not in own
            and (older_than is None or age_of(tree, snapshot) > older_than)
        ):
            selection.add(tree, roots=True)
    return selection


def select_process(
    process: "Process",
    trees: "List[CommandTree]",
    snapshot: "Snapshot",
    own_pid: int,
    own: "Set[str]",
) -> "Selection":
    """A process and all that stands below it. Raises Refused."""
    check_process(process, snapshot, own_pid)
    selection = Selection()
    members = {one.id for one in process_and_descendants(process, snapshot)}
    for tree in trees:
        if any(one.id in members for one in tree.members):
            selection.secret = selection.secret or tree.secret
            if tree.run in own and tree.state not in (states.LEFT, states.JOB):
                raise Refused(
                    "pid %d has processes below it of run %s, which executes this very task"
                    % (process.id.pid, tree.run)
                )
    selection.tops.append(process)
    selection.roots.append(process)
    return selection


def check_process(process: "Process", snapshot: "Snapshot", own_pid: int) -> None:
    """Raises Refused for a process that is never ended: the first one, the kernel's own, this one, what stands above it."""
    pid = process.id.pid
    if pid <= 1:
        raise Refused("pid %d is never ended" % pid)
    if process.kernel or snapshot.thread_group(pid) != pid:
        raise Refused(
            "pid %d, %s, is a thread or the kernel's own, and no process" % (pid, process.comm)
        )
    own = snapshot.process(own_pid)
    if (
        pid == own_pid
        or own is None
        or pid in [one.id.pid for one in ancestors(own, snapshot.process)]
    ):
        raise Refused("pid %d, %s, stands above this very task" % (pid, process.comm))
