# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recap, which the user reads after an interruption.

It has a line for each host, the trees as they were, and the command that ends what may still be
alive. Its last line is a verdict.
"""

from __future__ import annotations

import collections
import dataclasses
import shlex
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C, command_line
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AlwaysOutcome,
    Outcome,
    ReportedLease,
    RunReport,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.after_kill import after_lines
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import (
    Line,
    Screen,
    draw,
    wrapped,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.hand_off_lines import (
    elsewhere_lines,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import (
    Unguarded,
    folded,
    host_lines,
    is_unconfirmed,
    natural,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import print_lines
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.sweep_command import (
    words_of_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import escaped
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.tree import Group, Kinds, trees
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict import (
    Ending,
    endings,
    verdict,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict_data import (
    VerdictData,
    in_event,
)

if t.TYPE_CHECKING:
    from ansible.utils.display import Display
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import (
        UnguardedTask,
    )

#: Trees that are drawn without C(-v), those with survivors first. Hosts with equal trees share one.
_MAX_TREES = 5

_HEADING_COLUMNS = 79

#: Hosts that the command for a sweep names. If there are more, it goes to the whole inventory.
_MAX_LIMIT_HOSTS = 10


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
        """Print it to standard error. So the output of a stdout callback stays valid.

        Where ansible-runner makes an event of each line, that of the verdict has it as data.
        """
        lines = self.lines()
        last = next((index for index, line in enumerate(lines) if line.ends), len(lines))
        print_lines(display, lines[:last])
        if lines[last:]:
            with in_event(self.verdict_data):
                print_lines(display, lines[last:])

    @property
    def verdict_data(self) -> VerdictData:
        """The verdict as data."""
        judged = next((line.text for line in self._lines() if line.ends), "")
        return VerdictData.of(self._report.run, self._report.cause, escaped(judged), self._endings)

    @property
    def _hosts(self) -> dict[str, list[ReportedLease]]:
        return by_host(
            result for result in self._report.results if self._interrupted or _is_news(result)
        )

    @property
    def _always(self) -> tuple[AlwaysOutcome, ...]:
        return self._report.always if self._interrupted else ()

    @property
    def _endings(self) -> dict[str, Ending]:
        return endings(self._hosts, self._unguarded, self._always, lost=self._lost)

    def lines(self) -> list[Line]:
        """Return the lines of the recap, from top to bottom.

        They have only printable characters. Names and command lines come from hosts, and may hold
        anything.
        """
        return [
            part
            for line in self._lines()
            for part in wrapped(
                dataclasses.replace(
                    line,
                    text=escaped(line.text),
                    log=None if line.log is None else escaped(line.log),
                ),
                self._screen,
            )
        ]

    def _lines(self) -> list[Line]:
        hosts, always = self._hosts, self._always
        if not hosts and not self._unguarded and not self._lost and not always:
            return (
                [Line("treekill: nothing was running on any host.", C.COLOR_OK, ends=True)]
                if self._interrupted
                else []
            )
        heading = f"TREEKILL RECAP [{self._report.cause or 'commands that did not return'}] ".ljust(
            min(_HEADING_COLUMNS, self._screen.width), "*"
        )
        lines = [
            Line(""),
            Line(heading, C.COLOR_HIGHLIGHT),
            *host_lines(hosts, self._unguarded, self._screen, always),
        ]
        if self._lost:
            lines.append(
                Line(
                    "A guardian of this run was lost."
                    " Its leases are not known, and their processes may be alive.",
                    C.COLOR_ERROR,
                    wraps=True,
                )
            )
        after = after_lines(self._report.after_kill)
        lines += [
            Line(one.text, C.COLOR_ERROR if one.bad else None, wraps=not one.of_output)
            for one in after
        ]
        shown = [result for results in hosts.values() for result in results]
        lines += elsewhere_lines(shown, self._screen.verbosity)
        lines += self._drawn(shown) + self._to_finish()
        judged = verdict(
            self._endings,
            lost=self._lost,
            after_kill_failed=any(one.bad for one in after),
        )
        return [*lines, Line(""), judged]

    def _drawn(self, results: t.Sequence[ReportedLease]) -> list[Line]:
        """Return the lines of the trees, one tree for each task.

        Hosts on which a task has ended in the same way share a tree.
        """
        kinds = Kinds()
        alike: dict[tuple[str, tuple[tuple[int, int], ...]], tuple[list[Group], list[str]]] = {}
        for result in sorted(results, key=lambda result: natural(result.host)):
            report = result.report
            if report and (report.gone or report.survivors or report.finishing):
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
                    wraps=True,
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
        # The leases of a lost guardian may be on any host. A list of many names fits no terminal,
        # and on the other hosts a sweep of this run finds nothing.
        everywhere = self._lost or len(open_hosts) > _MAX_LIMIT_HOSTS
        limit = [] if everywhere else ["--limit", ",".join(open_hosts)]
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
            f"sweep_runs={self._report.run}",
        ]
        away = any(
            result.outcome in (Outcome.TRYING, Outcome.UNREACHABLE, Outcome.UNDER_WAY)
            for result in self._report.results
        )
        when = " when the hosts are reachable" if away else ""
        return f"To end what is left{when}, run: " + " ".join(map(shlex.quote, words))


def by_host(results: t.Iterable[ReportedLease]) -> dict[str, list[ReportedLease]]:
    """Return the results of each host."""
    hosts: dict[str, list[ReportedLease]] = collections.defaultdict(list)
    for result in results:
        hosts[result.host].append(result)
    return hosts


def _title(task: str, hosts: t.Sequence[str]) -> str:
    if len(hosts) == 1:
        return f"TASK [{task}] on {hosts[0]}"
    return f"TASK [{task}] on {hosts[0]}, the same on {folded(hosts[1:])}"


def _needs_sweep(result: ReportedLease) -> bool:
    has_survivors = result.report is not None and bool(result.report.survivors)
    return has_survivors or is_unconfirmed(result)


def _is_news(result: ReportedLease) -> bool:
    """Whether the result is news for the user of a run that ended by itself.

    It is if a process was ended or has survived, or if the result is not confirmed.
    """
    report = result.report
    if report is None:
        return result.outcome is not Outcome.LEFT
    return bool(report.gone or report.survivors or report.finishing)
