# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The selection that a module is to end.

It never contains processes above the module, or what belongs to the runs that the module works
for.
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
    from typing import Dict, List, Optional, Sequence, Set, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import Cookie
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import Process
    from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
    from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
        CommandTree,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._survey.selection_options import (
        SelectionOptions,
    )


class Refused(ValueError):
    """The process may not be ended. The text of the error gives the reason."""


class CommandsMatch:
    """Recognises the processes of some commands by their environments, as CookieMatch does for one.

    commands: (run, lease), and the pids of the selected roots. No pids stand for every root. The
        roots themselves are found by other means.
    begun: (run, lease, pid of a root), and user id and start time of each process that is or was
        that root. The time is 0 if it is not known.
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
        """Return the pid that a cookie of one of the commands names as root; None without one."""
        cookie = self._cookie(environment)
        return cookie.root if cookie is not None else None

    def believes(self, environment: bytes, start: int, user: "Optional[int]") -> bool:
        """Whether one of the selected roots may have started a process of that start time and user.

        A younger root did not start it, and neither did the root of another user.
        """
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
                        continue  # `spare`, or any other text
                    roots = self._commands.get((cookie.run, cookie.lease))
                    if roots is not None and (not roots or cookie.root in roots):
                        return cookie
        return None

    def claimed_by(self, dummy: "Sequence[bytes]") -> bool:
        """Return False: a command line alone is not enough."""
        return False


class Selection:
    """The processes and commands that are to be ended.

    tops: processes that are known, parents before children.
    roots: those of them that began a command.
    trees: the commands.
    left_alone: commands of the selected runs that are not to be ended.
    secret: whether command lines must not be shown.
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
        """Add a whole command.

        roots: whether to add only what belongs to its present roots. Other processes may have the
        same lease.
        """
        self.trees.append(tree)
        self.secret = self.secret or tree.secret
        self.tops.extend(tree.members)
        self.roots.extend(tree.roots)
        # If the root is gone, only its number is left.
        begun = {process.id.pid: process.id.start for process in tree.roots} or dict.fromkeys(
            [cookie.root for cookie in tree.cookies] or [0], 0
        )
        named = self._commands.setdefault((tree.run, tree.lease), set())
        for pid in begun if roots else ():
            named.add(pid)
            self._begun.setdefault((tree.run, tree.lease, pid), []).append((tree.user, begun[pid]))

    def match(self) -> "CommandsMatch":
        """Return a match for all that belongs to the selection, also for what is born later."""
        return CommandsMatch(self._commands, self._begun)


def select_runs(
    trees: "List[CommandTree]", options: "SelectionOptions", own: "Set[str]"
) -> "Selection":
    """Return the commands of the runs O(runs), and only of the leases O(leases) if there are any.

    Raises Refused for a run that executes this module, and ValueError for a malformed name.
    """
    for run in options.runs:
        for lease in options.leases or [ANY_LEASE]:
            check_names(run, lease)
        if run in own:
            raise Refused("run %s is executing this task and can't end itself" % run)
    if options.leases and len(options.runs) != 1:
        raise Refused("a lease belongs to one run, and %d were given" % len(options.runs))
    whole = bool(options.left_behind or options.leases)
    selection = Selection()
    for tree in trees:
        if tree.run in options.runs and tree.lease in (options.leases or [tree.lease]):
            if tree.state in (states.LEFT, states.JOB) and not whole:
                selection.left_alone.append(tree)
            else:
                selection.add(tree, roots=not whole)
    return selection


def select_abandoned(
    trees: "List[CommandTree]", snapshot: "Snapshot", older_than: "Optional[float]", own: "Set[str]"
) -> "Selection":
    """Return the abandoned commands."""
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
    """Return a process and all processes below it. Raises Refused."""
    check_process(process, snapshot, own_pid)
    selection = Selection()
    members = {one.id for one in process_and_descendants(process, snapshot)}
    for tree in trees:
        if any(one.id in members for one in tree.members):
            selection.secret = selection.secret or tree.secret
            if tree.run in own and tree.state not in (states.LEFT, states.JOB):
                raise Refused(
                    "pid %d has processes below it of run %s, which is executing this task"
                    % (process.id.pid, tree.run)
                )
    selection.tops.append(process)
    selection.roots.append(process)
    return selection


def check_process(process: "Process", snapshot: "Snapshot", own_pid: int) -> None:
    """Raise Refused for a process that is never ended.

    That is the first one, one of the kernel, this one, or one above it.
    """
    pid = process.id.pid
    if pid <= 1:
        raise Refused("pid %d is never ended" % pid)
    if process.kernel or snapshot.thread_group(pid) != pid:
        raise Refused("pid %d, %s, is a thread or a kernel thread" % (pid, process.comm))
    own = snapshot.process(own_pid)
    if (
        pid == own_pid
        or own is None
        or pid in [one.id.pid for one in ancestors(own, snapshot.process)]
    ):
        raise Refused("pid %d, %s, is an ancestor of this module" % (pid, process.comm))
