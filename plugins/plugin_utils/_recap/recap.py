# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recap, which the user reads after an interruption.

It has a line for each host, the trees as they were, and the command that ends what may still be
alive.
"""

from __future__ import annotations

import collections
import os
import shlex
import sys
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C, command_line
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    Outcome,
    ReportedLease,
    RunReport,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.after_kill import after_lines
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import (
    Line,
    Screen,
    draw,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import (
    Unguarded,
    folded,
    host_lines,
    natural,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import print_lines
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.sweep_command import (
    words_of_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import escaped
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.tree import Group, Kinds, trees

if t.TYPE_CHECKING:
    from ansible.utils.display import Display
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import (
        UnguardedTask,
    )

#: Trees that are drawn without C(-v), those with survivors first. Hosts with equal trees share one.
_MAX_TREES = 5

_HEADING_COLUMNS = 79


class Recap:
    """A report of the guardian as text. Without news it has no line at all."""

    def __init__(
        self,
        report: RunReport,
        interrupted: bool,
        screen: Screen | None = None,
        *,
        tasks: t.Sequence[UnguardedTask] = (),
        lost: bool = False,
    ) -> None:
        """Make the recap, and print nothing yet.

        Args:
            report: of the guardian.
            interrupted: whether the main process got a signal.
            screen: to draw on.
            tasks: those that were in flight without a lease, as the main process knows them.
            lost: whether an earlier guardian of the run was lost.
        """
        self._report = report
        self._interrupted = interrupted
        self._unguarded = Unguarded(report.unguarded, tasks) if interrupted else Unguarded()
        self._lost = lost and interrupted
        self._screen = screen or Screen()

    def show(self, display: Display) -> None:
        """Print it to standard error. So the output of a stdout callback stays valid."""
        lines = self.lines()
        log = [line.text if line.log is None else line.log for line in lines if line.log != ""]
        print_lines(display, [(line.text, line.color) for line in lines], log)

    def lines(self) -> list[Line]:
        """Return the lines of the recap, from top to bottom.

        They have only printable characters. Names and command lines come from hosts, and may hold
        anything.
        """
        return [
            Line(escaped(line.text), line.color, None if line.log is None else escaped(line.log))
            for line in self._lines()
        ]

    def _lines(self) -> list[Line]:
        hosts: dict[str, list[ReportedLease]] = collections.defaultdict(list)
        for result in self._report.results:
            if self._interrupted or _is_news(result):
                hosts[result.host].append(result)
        if not hosts and not self._unguarded and not self._lost:
            return (
                [Line("treekill: nothing was running on any host.", C.COLOR_OK)]
                if self._interrupted
                else []
            )
        heading = f"TREEKILL RECAP [{self._report.cause or 'commands that did not return'}] ".ljust(
            min(_HEADING_COLUMNS, self._screen.width), "*"
        )
        lines = [
            Line(""),
            Line(heading, C.COLOR_HIGHLIGHT),
            *host_lines(hosts, self._unguarded, self._screen),
        ]
        if self._lost:
            lines.append(
                Line(
                    "A guardian of this run was lost."
                    " Its leases are not known, and their processes may be alive.",
                    C.COLOR_ERROR,
                )
            )
        lines += [
            Line(text, C.COLOR_ERROR if bad else None)
            for text, bad in after_lines(self._report.after_kill)
        ]
        return (
            lines
            + self._drawn([result for results in hosts.values() for result in results])
            + self._to_finish()
        )

    def _drawn(self, results: t.Sequence[ReportedLease]) -> list[Line]:
        """Return the lines of the trees, one tree for each task.

        Hosts on which one task has ended in one way share a tree.
        """
        kinds = Kinds()
        alike: dict[tuple[str, tuple[tuple[int, int], ...]], tuple[list[Group], list[str]]] = {}
        for result in sorted(results, key=lambda result: natural(result.host)):
            report = result.report
            if report and (report.gone or report.survivors):
                top = trees(report, kinds, apart=self._screen.verbosity > 1)
                key = (result.task, tuple(sorted((group.kind, len(group.pids)) for group in top)))
                alike.setdefault(key, (top, []))[1].append(escaped(result.host))
        lines = []
        drawn = sorted(
            alike.items(),
            key=lambda entry: (
                not any(
                    group.state == "survivors"
                    for top in entry[1][0]
                    for group in top.with_descendants()
                )
            ),
        )
        limit = len(drawn) if self._screen.verbosity else _MAX_TREES
        for (task, dummy), (top, hosts) in drawn[:limit]:
            shown = [
                Line(""),
                Line(_title(task, hosts), C.COLOR_HIGHLIGHT),
                *draw(top, self._screen),
            ]
            lines += [Line(line.text, line.color, log="") for line in shown]
        if drawn[limit:]:
            others = sorted({host for entry in drawn[limit:] for host in entry[1][1]}, key=natural)
            lines += [
                Line(""),
                Line(
                    f"The trees of {folded(others)} are not drawn here: -v draws them.",
                    C.COLOR_SKIP,
                ),
            ]
        return lines

    def _to_finish(self) -> list[Line]:
        """Return the command for the hosts that are not confirmed."""
        open_hosts = sorted(
            {result.host for result in self._report.results if _needs_sweep(result)}
        )
        if not open_hosts and not self._lost:
            return []
        # The leases of a lost guardian may be on any host.
        limit = [] if self._lost else ["--limit", ",".join(open_hosts)]
        texts = [
            self._sweep(limit, words_of_connection(command_line(), log=log))
            for log in (False, True)
        ]
        return [Line(""), Line(texts[0], C.COLOR_HIGHLIGHT, log=texts[1])]

    def _sweep(self, limit: list[str], connection: list[str]) -> str:
        words = [
            "ansible-playbook",
            "treekill.remote.sweep",
            *connection,
            *limit,
            "--become",
            "-e",
            f"sweep_run={self._report.run}",
        ]
        return "To finish it when they can be reached: " + " ".join(map(shlex.quote, words))


def screen_of(display: Display) -> Screen:
    """Return the screen that standard error is."""
    width = Screen.width
    # A program that uses Ansible as a library may have put an object of its own there.
    if getattr(sys.stderr, "isatty", bool)():
        try:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        except (AttributeError, OSError, ValueError):
            width = 80
    try:
        "├─└│…".encode(getattr(sys.stderr, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return Screen(width, unicode=False, verbosity=display.verbosity)
    return Screen(width, verbosity=display.verbosity)


def _title(task: str, hosts: t.Sequence[str]) -> str:
    if len(hosts) == 1:
        return f"TASK [{task}] on {hosts[0]}"
    return f"TASK [{task}] on {hosts[0]}, the same on {folded(hosts[1:])}"


def _needs_sweep(result: ReportedLease) -> bool:
    if result.report is not None and result.report.survivors:
        return True
    return result.outcome in (
        Outcome.TRYING,
        Outcome.UNREACHABLE,
        Outcome.FAILED,
        Outcome.UNDER_WAY,
    )


def _is_news(result: ReportedLease) -> bool:
    """Whether the result is news for the user of a run that ended by itself.

    It is if a process was ended or has survived, or if the result is not confirmed.
    """
    report = result.report
    return bool(report.gone or report.survivors) if report else result.outcome is not Outcome.LEFT
