# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a recap about each host. Pure.

Of many hosts, those with the same ending share lines. The most important come first.
"""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AlwaysState,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Line, Screen
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import (
    columns,
    escaped,
    last_signal,
    seconds,
    shortened,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
        KillReport,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
        AlwaysOutcome,
        ReportedLease,
        UnguardedConnection,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import (
        UnguardedTask,
    )

#: Columns of a survivor's command line. Its pid and user identify it.
_MAX_SURVIVOR_COLUMNS = 60

#: Hosts that get a line each. If there are more, hosts with the same ending share a line, unless
#: the user gave C(-v).
_MAX_SINGLE_HOSTS = 20

_ADDRESS = re.compile(
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\b", re.IGNORECASE
)

_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class _HostLine:
    """One line about one host, or about several."""

    text: str
    color: str | None
    #: Whether it begins with the name. Otherwise it is below such a line.
    names: bool = True
    #: Seconds, for the end of the line.
    took: tuple[float, float] | None = None
    #: The text without a command line, if it has one.
    log: str | None = None
    #: The text with a reason that hosts can share, if it has a reason.
    alike: str = ""


@dataclasses.dataclass(frozen=True)
class _HostBlock:
    """All lines about one host, or about several with the same ending."""

    hosts: tuple[str, ...]
    said: tuple[_HostLine, ...]

    @property
    def rank(self) -> int:
        """The rank of the block. The smallest number is the most important one."""
        colors = {one.color for one in self.said}
        return (
            0
            if C.COLOR_ERROR in colors
            else 1
            if C.COLOR_WARN in colors
            else 2
            if C.COLOR_CHANGED in colors
            else 3
        )

    def lines(self, width: int) -> list[Line]:
        name = folded(self.hosts)
        lines = []
        for one in self.said:
            before = (
                f"{name}{' ' * (width - columns(name))} : " if one.names else f"{'':{width}}   "
            )
            after = f", {seconds(*one.took)}" if one.took else ""
            lines.append(
                Line(
                    f"{before}{one.text}{after}",
                    one.color,
                    None if one.log is None else f"{before}{one.log}{after}",
                    wraps=True,
                )
            )
        return lines


@dataclasses.dataclass(frozen=True)
class Unguarded:
    """The tasks and connections that were not guarded in a run."""

    #: Connections whose commands can't be guarded.
    connections: t.Sequence[UnguardedConnection] = ()
    #: Tasks that were in flight without a lease.
    tasks: t.Sequence[UnguardedTask] = ()

    def __bool__(self) -> bool:
        return bool(self.connections or self.tasks)


def host_lines(
    results: t.Mapping[str, t.Sequence[ReportedLease]],
    unguarded: Unguarded,
    screen: Screen,
    always: t.Sequence[AlwaysOutcome] = (),
) -> list[Line]:
    """Return the lines about each host.

    They are about its broken leases, what was not guarded there, and its `always` sections.

    Of many hosts, those with the same ending share their lines.
    """
    said = {host: list(_lines_about(of_host)) for host, of_host in results.items()}
    for connection in unguarded.connections:
        said.setdefault(connection.host, []).append(_unguarded_connection(connection))
    for task in unguarded.tasks:
        said.setdefault(task.host, []).append(_unguarded_task(task))
    for outcome in always:
        said.setdefault(outcome.host, []).append(_always_sections(outcome))
    blocks = [_HostBlock((escaped(host),), tuple(of_host)) for host, of_host in said.items()]
    if len(blocks) > _MAX_SINGLE_HOSTS and not screen.verbosity:
        blocks = _grouped(blocks)
    blocks.sort(key=lambda block: (block.rank, natural(block.hosts[0])))
    width = max((columns(folded(block.hosts)) for block in blocks), default=0)
    return [line for block in blocks for line in block.lines(width)]


def _always_sections(one: AlwaysOutcome) -> _HostLine:
    words = {
        AlwaysState.RAN: "always ran",
        AlwaysState.FAILED: "always FAILED: ",
        AlwaysState.INTERRUPTED: "always did not run to the end: ",
        AlwaysState.NOT_RUN: "always did not run: ",
    }[one.state]
    good = one.state is AlwaysState.RAN
    return _with_reason(one.host, words, one.reason, "", C.COLOR_OK if good else C.COLOR_ERROR)


def _unguarded_connection(one: UnguardedConnection) -> _HostLine:
    return _with_reason(
        one.host, f"NOT PROTECTED over {one.connection}: ", one.reason, "", C.COLOR_ERROR
    )


def _unguarded_task(one: UnguardedTask) -> _HostLine:
    if one.wanted:
        return _with_reason(
            one.host,
            "left alone, and perhaps running: ",
            one.reason,
            f" (task: {one.task})",
            C.COLOR_WARN,
        )
    return _with_reason(
        one.host,
        f"NOT PROTECTED, and perhaps running (task: {one.task}): ",
        one.reason,
        "",
        C.COLOR_ERROR,
    )


def _with_reason(host: str, before: str, reason: str, after: str, color: str | None) -> _HostLine:
    """Return a line with a reason.

    Only the reason of the shared text is without names: elsewhere a host's name may be a part of a
    number.
    """
    return _HostLine(
        f"{before}{reason}{after}", color, alike=f"{before}{_without_names(reason, host)}{after}"
    )


def in_one_line(result: ReportedLease) -> str:
    """Return one result of a report as one line, for a warning. Warnings go to the log as well."""
    block = _HostBlock((escaped(result.host),), tuple(_lines_about([result])))
    return escaped(
        "; ".join((line.text if line.log is None else line.log).strip() for line in block.lines(0))
    )


def _grouped(blocks: t.Iterable[_HostBlock]) -> list[_HostBlock]:
    alike: dict[t.Hashable, list[_HostBlock]] = collections.defaultdict(list)
    for block in blocks:
        said = tuple(
            dataclasses.replace(one, text=one.alike or one.text, took=None) for one in block.said
        )
        alike[said].append(block)
    return [
        same[0] if len(same) == 1 else _joined(same, t.cast("tuple[_HostLine, ...]", said))
        for said, same in alike.items()
    ]


def _joined(blocks: t.Sequence[_HostBlock], said: t.Sequence[_HostLine]) -> _HostBlock:
    hosts = sorted((host for block in blocks for host in block.hosts), key=natural)
    lines = []
    for index, one in enumerate(said):
        times = [block.said[index].took for block in blocks]
        known = [took for took in times if took is not None]
        took = (
            (min(first for first, dummy in known), max(last for dummy, last in known))
            if known
            else None
        )
        lines.append(dataclasses.replace(one, took=took))
    return _HostBlock(tuple(hosts), tuple(lines))


def _without_names(text: str, host: str) -> str:
    """Return the reason without the name and the addresses of the host."""
    return _ADDRESS.sub("ADDRESS", text.replace(host, "HOST") if len(host) > 1 else text)


def natural(name: str) -> tuple[t.Any, ...]:
    """Return a sort key that puts web2 before web10."""
    return tuple(
        (not part.isdecimal(), int(part) if part.isdecimal() else part)
        for part in re.split(r"(\d+)", name)
        if part
    )


def folded(hosts: t.Sequence[str], width: int = 60) -> str:
    """Return the names of hosts in some 60 columns, with their number.

    Numbered names in a row become C(web[01-17]).
    """
    if len(hosts) == 1:
        return hosts[0]
    runs: list[tuple[str, str, str, str]] = []
    for host in hosts:
        match = _NUMBERED.fullmatch(host)
        before, number, after = match.groups() if match else (host, "", "")
        last = runs[-1] if runs else ("", "", "", "")
        follows = (
            number
            and last[2]
            and (last[0], last[3]) == (before, after)
            and int(number) == int(last[2]) + 1
        )
        if follows and (
            len(number) == len(last[2])
            or not number.startswith("0")
            and not last[2].startswith("0")
        ):
            runs[-1] = (before, last[1], number, after)
        else:
            runs.append((before, number, number, after))
    names = ", ".join(
        f"{before}{first}{after}" if first == last else f"{before}[{first}-{last}]{after}"
        for before, first, last, after in runs
    )
    return f"{shortened(names, width)} ({len(hosts)} hosts)"


def _lines_about(results: t.Sequence[ReportedLease]) -> t.Iterator[_HostLine]:
    reports = [result.report for result in results if result.report is not None]
    blind = blind_spots(results)
    if reports:
        yield from _confirmed(reports, bool(blind))
    for spot in blind:
        yield _HostLine(spot, C.COLOR_WARN, names=False)
    for result in results:
        if result.outcome is Outcome.LEFT:
            yield _with_reason(
                result.host, "left alone: ", result.reason, f" (task: {result.task})", C.COLOR_WARN
            )
        elif result.outcome is Outcome.BROKEN_OFF:
            yield _HostLine(f"file transfer aborted (task: {result.task})", C.COLOR_CHANGED)
        elif result.outcome is Outcome.NOT_BEGUN:
            yield _with_reason(
                result.host,
                f"nothing had begun (task: {result.task}): ",
                result.reason,
                "",
                C.COLOR_OK,
            )
        elif is_unconfirmed(result):
            yield _with_reason(
                result.host,
                f"NOT CONFIRMED (task: {result.task}): ",
                _unconfirmed(result),
                "",
                C.COLOR_ERROR,
            )


def is_unconfirmed(result: ReportedLease) -> bool:
    """Whether the host was asked what became of the command, and has not reported it."""
    if result.outcome is Outcome.CONFIRMED:
        return result.report is None
    return result.outcome not in (Outcome.LEFT, Outcome.BROKEN_OFF, Outcome.NOT_BEGUN)


def blind_spots(results: t.Sequence[ReportedLease]) -> list[str]:
    """Return which processes the kill passes could not have found."""
    reports = [(result, result.report) for result in results if result.report is not None]
    cleared = "an orphan that cleared its environment"
    if any(report.method == "shell" for dummy, report in reports):
        forks = "or forks and exits at once"
        return [f"no Python there: {cleared}, {forks}, would not have been found"]
    alone = [report for result, report in reports if result.payload and not report.supervised]
    if not alone:
        return []
    more = ", or became another user," if any(report.unreadable for report in alone) else ""
    return [f"no supervisor was there: {cleared}{more} would not have been found"]


def _confirmed(reports: t.Sequence[KillReport], blind: bool) -> t.Iterator[_HostLine]:
    """Yield the lines about what was found.

    `blind`: whether a process could have been missed. Then it is no all-clear if nothing was found.
    """
    gone = [process for report in reports for process in report.gone]
    survivors = [process for report in reports for process in report.survivors]
    spared = [process for report in reports for process in report.spared]
    finishing = [process for report in reports for process in report.finishing]
    if not gone and not survivors and not spared and not finishing:
        yield _HostLine(
            "nothing was found running" if blind else "nothing was still running",
            C.COLOR_WARN if blind else C.COLOR_OK,
        )
        return
    took = max(report.seconds for report in reports)
    endings = collections.Counter(last_signal(process.ended or "exited") for process in gone)
    how = ", ".join(f"{ending} {count}" for ending, count in sorted(endings.items()))
    text = f"ended {len(gone)}" + (f" ({how})" if how else "") + f", survivors {len(survivors)}"
    yield _HostLine(text, C.COLOR_ERROR if survivors else C.COLOR_CHANGED, took=(took, took))
    for process in survivors:
        command = shortened(escaped(process.command), _MAX_SURVIVOR_COLUMNS)
        survivor = f"survivor {process.pid} ({process.user})"
        yield _HostLine(
            f"{survivor} {command}: {process.reason}",
            C.COLOR_ERROR,
            names=False,
            log=f"{survivor}: {process.reason}",
        )
    yield from _transactions(reports)
    for reason in dict.fromkeys(process.reason for process in spared):
        pids = [str(process.pid) for process in spared if process.reason == reason]
        yield _HostLine(
            f"spared {len(pids)} ({escaped(reason) or 'TREEKILL=spare'}): pid {', '.join(pids)}",
            C.COLOR_WARN,
            names=False,
        )


def _transactions(reports: t.Sequence[KillReport]) -> t.Iterator[_HostLine]:
    """Yield the lines about transactions: one for each kill pass and each ending."""
    for report in reports:
        ended = {
            how: [process for process in report.gone if process.transaction == how]
            for how in ("finished", "broken off")
        }
        if ended["broken off"]:
            # What it had started and has ended before is no finished transaction.
            ended["finished"] = []
        for before, processes, after, color in (
            ("finished its transaction: ", ended["finished"], "", C.COLOR_OK),
            (
                "BROKEN OFF in its transaction: ",
                ended["broken off"],
                ": finish_timeout was over",
                C.COLOR_ERROR,
            ),
            (
                "left to finish: ",
                [process for process in report.finishing if process.transaction],
                "; a process on the host sees to it, and then ends the rest",
                C.COLOR_WARN,
            ),
        ):
            if processes:
                # The first one is the highest: apt-get, not the dpkg below it.
                names = f"{processes[0].program} (pid {processes[0].pid})"
                yield _HostLine(f"{before}{escaped(names)}{after}", color, names=False)


def _unconfirmed(result: ReportedLease) -> str:
    reason = " ".join(result.reason.split())
    if result.outcome is Outcome.TRYING:
        return (
            f"{reason}. Retrying for {result.retry_for:g} s in total,"
            " even after this command exits."
        )
    return reason
