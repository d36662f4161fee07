# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The state of a command, and the evidence that its host has for it.

A host can't see whether a controller lives. It can see that no controller will ever hear again from
a command. Only that makes a command `abandoned`.

If any evidence is missing or unreadable, the command is not abandoned: what is reported as dead
gets killed. Killing a live process is worse than missing a dead one.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Set, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import Cookie
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessTable,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
        CommandTree,
    )

RUNNING = "running"
KEPT = "kept"
JOB = "job"
ENDING = "ending"
ABANDONED = "abandoned"
LEFT = "left"
UNKNOWN = "unknown"

#: The results for one output of a process, see output_reader.
NO_READER, READER, NEUTRAL, UNREADABLE = "no reader", "reader", "neutral", "unreadable"


def judge(
    tree: "CommandTree", table: "ProcessTable", reader_of: "Callable[[int, int], str]"
) -> "Tuple[str, str]":
    """Return (state, reason) of a command.

    reader_of: returns what reads the output of a process (pid) to a descriptor.
    """
    if tree.supervisor is not None:
        return judge_supervised(tree, tree.supervisor, reader_of)
    if not tree.roots:
        return LEFT, "its root is gone: left behind when the command returned, or by a hang-up"
    if tree.kept:
        return KEPT, "on_disconnect is keep: it may have lost its connection on purpose"
    # If a command was sent twice, the later root may be in flight.
    order = (RUNNING, UNKNOWN, ABANDONED)
    return min(
        (judge_root(root, tree, table, reader_of) for root in tree.roots),
        key=lambda found: order.index(found[0]),
    )


def judge_supervised(
    tree: "CommandTree", supervisor: "Process", reader_of: "Callable[[int, int], str]"
) -> "Tuple[str, str]":
    """Return (state, reason) of a command with a supervisor."""
    if tree.ending:
        return ENDING, "its supervisor is ending it"
    pid = supervisor.id.pid
    if supervisor.stopped and not tree.kept and NO_READER in {reader_of(pid, 1), reader_of(pid, 2)}:
        return (
            ABANDONED,
            "its supervisor, pid %d, was stopped before it could see that its output has no reader"
            % pid,
        )
    if tree.roots:
        return RUNNING, "its supervisor is alive, and ends it when the connection breaks"
    return JOB, "its root is gone and a supervisor stays with it: an asynchronous job"


def judge_root(
    root: "Process",
    tree: "CommandTree",
    table: "ProcessTable",
    reader_of: "Callable[[int, int], str]",
) -> "Tuple[str, str]":
    """Return (state, reason) of one root without a supervisor."""
    top = highest_of_command(root, tree, table)
    pid = top.id.pid
    above = table.process(top.ppid) if top.ppid > 1 else None
    if above is not None:
        return RUNNING, "below %s, pid %d" % (above.comm, above.id.pid)
    doubt = ""
    if top.ppid != 1:
        doubt = "the parent of pid %d is not visible" % pid
    elif top is root and was_child_of_init(root, tree.cookies):
        doubt = "nothing shows that pid %d has lost its parent" % pid
    elif not any(
        entry.startswith(b"SSH_CONNECTION=") for entry in table.environment(pid).split(b"\0")
    ):
        doubt = "pid %d does not show that it began in an ssh session" % pid
    return (UNKNOWN, doubt) if doubt else judge_output(pid, {reader_of(pid, 1), reader_of(pid, 2)})


def judge_output(pid: int, ends: "Set[str]") -> "Tuple[str, str]":
    """Return (state, reason) of a process whose parent is gone, by the readers of its output."""
    if ends <= {NO_READER, NEUTRAL} and NO_READER in ends:
        return (
            ABANDONED,
            "the ssh session that began pid %d is gone, and its output has no reader" % pid,
        )
    if READER in ends:
        return UNKNOWN, "the parent of pid %d is gone, but its output has a reader" % pid
    return (
        UNKNOWN,
        "the parent of pid %d is gone, and this host does not show whether its output has a reader"
        % pid,
    )


def highest_of_command(root: "Process", tree: "CommandTree", table: "ProcessTable") -> "Process":
    """Return the uppermost process that only starts the root: a login shell, sudo or su.

    Their command lines contain the text of the cookie.
    """
    text = ("TREEKILL=%s/%s/" % (tree.run, tree.lease)).encode()
    top = root
    above: List[Process] = ancestors(root, table.process)
    for process in above:
        if text not in b"\0".join(table.arguments(process.id.pid)):
            break
        top = process
    return top


def was_child_of_init(root: "Process", cookies: "Set[Cookie]") -> bool:
    """Whether pid 1 may have started the root itself.

    Its cookie says so, as with machinectl, or there is no cookie yet.
    """
    parents = {cookie.ppid for cookie in cookies if cookie.root == root.id.pid}
    return not parents or 1 in parents
