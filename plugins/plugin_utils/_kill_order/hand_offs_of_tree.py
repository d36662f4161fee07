# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs of a task by the processes of its tree: those that were not ended with it.

A terminal server in the tree is ended with the tree, and a container of podman with its monitor.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    COMMAND_CHARACTERS,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.container_clients import (
    STORAGES,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import (
    Followed,
    HandOff,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_offs import (
    of_command,
)

#: The command line of podman's monitor, but not while podman asks for its version.
_MONITOR = re.compile(r"(?:\S*/)?conmon[ \0](?!--version)")

#: The name of a container in the command line of its monitor.
_NAME_OF_MONITOR = re.compile(r"[ \0](?:-n|--name)[ \0]([\w.-]+)")

#: The program of a terminal server, which is no hand-off.
_SCREEN_SERVER = "SCREEN"


def seen_in(report: KillReport) -> list[HandOff]:
    """Return what the processes of a tree have asked for, each once.

    What `without_ended` leaves out is not among it. A container is followed only if its client was
    surely started by the task, as the task's user.
    """
    rows = (*report.gone, *report.survivors)
    below = _below_root(report)
    seen = []
    for row in rows:
        one = of_command(row.command)
        if one is not None:
            followed = None
            if one.followed and row.pid in below:
                followed = Followed(one.name, row.user, row.ended == "KILL")
            seen.append(dataclasses.replace(one, followed=followed))
    once: dict[tuple[object, ...], HandOff] = {}
    for one in _Servers(report).without_ended(seen):
        if one.followed or one.key not in once:
            once[one.key] = one
    return list(once.values())


def without_ended(report: KillReport, named: Sequence[HandOff]) -> list[HandOff]:
    """Return those that were not ended with the tree, of which a text names them.

    A terminal server in the tree is ended with it, so its clients have handed nothing off. The same
    holds for a container of podman, whose monitor is below the supervisor.
    """
    servers = _Servers(report)
    servers.without_ended([one for row in report.gone if (one := of_command(row.command))])
    return servers.without_ended(named)


class _Servers:
    """The servers that were ended with a tree: terminal servers, and monitors of podman."""

    def __init__(self, report: KillReport) -> None:
        self._terminals: set[tuple[str, tuple[str, ...]]] = set()
        #: The names of containers whose monitors were ended; empty where a report has no name.
        self._monitors: list[str] = []
        parents = {row.ppid for row in report.gone if row.program != "tmux"}
        for row in report.gone:
            program = row.program
            one = of_command(row.command) if program == "tmux" and row.pid in parents else None
            # Only a server has children. A client has none.
            if one is not None:
                self._terminals.add(_terminal(one))
            if program == _SCREEN_SERVER:
                # Each session of screen has its own server, with the words of its first client.
                one = of_command(row.command.replace(_SCREEN_SERVER, "screen", 1))
                self._terminals.add(_terminal(one) if one else ("screen", ("screen",)))
            if _MONITOR.match(row.command):
                name = _NAME_OF_MONITOR.search(row.command)
                cut = name is not None and name.end() >= COMMAND_CHARACTERS
                self._monitors.append(name[1] if name and not cut else "")

    def without_ended(self, found: Sequence[HandOff]) -> list[HandOff]:
        """Return the hand-offs that none of these servers had. Each monitor counts once."""
        left = []
        local = [one for one in found if one.program == "podman" and _is_local(one)]
        unnamed = []
        for one in local:
            if one.name and one.name in self._monitors:
                self._monitors.remove(one.name)
            else:
                unnamed.append(one)
        # Each container and each exec has one. Which is whose is not known: all or none.
        others = [name for name in self._monitors if not name] if unnamed else []
        ended = len(unnamed) <= len(others)
        if ended:
            for dummy in unnamed:
                self._monitors.remove("")
        for one in found:
            if _terminal(one) in self._terminals:
                continue
            if one in local and (ended or one not in unnamed):
                continue
            left.append(one)
        return left


def _terminal(one: HandOff) -> tuple[str, tuple[str, ...]]:
    """Return what is equal for all clients of one terminal server."""
    return one.program, (one.what,) if one.program == "screen" else tuple(one.where)


def _is_local(one: HandOff) -> bool:
    """Whether a client of podman starts its containers itself, with a monitor on its own host."""
    return not any(word[:1] == "-" and word not in STORAGES.split() for word in one.where)


def _below_root(report: KillReport) -> set[int]:
    """Return the pids of processes that the task has surely started, as its own user.

    A process whose cookie names its own pid has the role of a root as well, whichever user runs it.
    So with a second root nothing is sure. The supervisor itself is no part of a report: its
    children show one parent that is not there.
    """
    rows = report.processes
    by_pid = {row.pid: row for row in rows}
    roots = [row for row in rows if row.role == "root"]
    if len(roots) != 1 or not roots[0].user or len(by_pid) != len(rows):
        return set()
    root = roots[0]
    absent = {row.ppid for row in rows if row.ppid not in by_pid and row is not root}
    tops = {root.pid}
    if report.supervised and len(absent) == 1 and not absent & {0, 1, root.ppid}:
        tops |= absent
    below = set()
    for row in rows:
        pid, passed = row.pid, set[int]()
        while pid in by_pid and pid not in tops and pid not in passed:
            passed.add(pid)
            pid = by_pid[pid].ppid
        if pid in tops and row is not root and row.user == root.user:
            below.add(row.pid)
    return below
