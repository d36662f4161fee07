# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recap: what the user is told after an interruption, a line a host, with what is not done and how to finish it.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import collections
import dataclasses
import shlex
import typing as t

from ansible import constants as C
from ansible import context
from ansible_collections.treekill.remote.plugins.plugin_utils._last_words import say
from ansible_collections.treekill.remote.plugins.plugin_utils._wire import Message

if t.TYPE_CHECKING:
    from ansible.utils.display import Display

_COMMAND_WIDTH = 60
"""Characters of a survivor's command line; its pid and user tell it apart."""


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the recap, and the colour that Ansible shows such news in."""

    text: str
    color: str | None = None


class Recap:
    """A report of the guardian as text. Nothing to say is said with no line at all."""

    def __init__(self, report: Message, interrupted: bool) -> None:
        """`report` as the guardian sends it; `interrupted`: whether the main process got a signal."""
        self._report = report
        self._interrupted = interrupted

    def show(self, display: Display) -> None:
        """To standard error, so that whatever a stdout callback writes stays valid."""
        say(display, [(line.text, line.color) for line in self.lines()])

    def lines(self) -> list[Line]:
        """The recap, top to bottom, each line of printable characters: names and command lines are whatever a host says they are."""
        return [Line(_escaped(line.text), line.color) for line in self._lines()]

    def _lines(self) -> list[Line]:
        hosts: dict[str, list[Message]] = collections.defaultdict(list)
        for result in self._report["results"]:
            if self._interrupted or _is_news(result):
                hosts[result["host"]].append(result)
        unguarded = self._report["unguarded"] if self._interrupted else []
        if not hosts and not unguarded:
            return [Line("treekill: nothing was running on any host.", C.COLOR_OK)] if self._interrupted else []
        width = max(len(host) for host in [*hosts, *(entry["host"] for entry in unguarded)])
        lines = [Line(""), Line(f"TREEKILL RECAP [{self._report['cause'] or 'commands that did not return'}] ".ljust(79, "*"), C.COLOR_HIGHLIGHT)]
        for host, results in sorted(hosts.items()):
            lines += _of_host(_escaped(host).ljust(width), results)
        for entry in unguarded:
            text = f"{_escaped(entry['host']).ljust(width)} : NOT PROTECTED over {entry['connection']}: {entry['reason']}"
            lines.append(Line(text, C.COLOR_ERROR))
        return lines + self._to_finish()

    def _to_finish(self) -> list[Line]:
        """The command that finishes the job on the hosts that are not confirmed."""
        open_hosts = sorted({result["host"] for result in self._report["results"] if _needs_sweep(result)})
        if not open_hosts:
            return []
        words = ["ansible-playbook", "treekill.remote.sweep"]
        for inventory in context.CLIARGS.get("inventory") or ():
            words += ["-i", str(inventory)]
        words += ["--limit", ",".join(open_hosts), "--become", "-e", f"sweep_run={self._report['run']}"]
        return [Line("To finish it when they can be reached: " + " ".join(map(shlex.quote, words)), C.COLOR_HIGHLIGHT)]


def told(result: Message) -> str:
    """One result of a report on one line, for a warning."""
    return _escaped("; ".join(line.text.strip() for line in _of_host(result["host"], [result])))


def _needs_sweep(result: Message) -> bool:
    return result["outcome"] in ("trying", "unreachable", "failed", "under way") or bool(result["report"] and result["report"]["survivors"])


def _is_news(result: Message) -> bool:
    """Whether somebody whose run ended by itself wants to know: something was ended, survived, or is not confirmed."""
    report = result["report"]
    return bool(report["gone"] or report["survivors"]) if report else result["outcome"] != "left"


def _of_host(name: str, results: list[Message]) -> list[Line]:
    lines = []
    reports = [result["report"] for result in results if result["report"]]
    if reports:
        lines += _confirmed(name, reports)
    if any(result["supervised"] and result["report"] and result["report"]["root"] and not result["report"]["supervised"] for result in results):
        lines.append(Line(f"{'':{len(name)}}   no supervisor stood there: an orphan that cleared its environment would not have been found", C.COLOR_WARN))
    for result in results:
        if result["outcome"] == "left":
            lines.append(Line(f"{name} : left alone: {result['reason']} (task: {result['task']})", C.COLOR_WARN))
        elif result["report"] is None:
            lines.append(Line(f"{name} : NOT CONFIRMED (task: {result['task']}): {_unconfirmed(result)}", C.COLOR_ERROR))
    return lines


def _confirmed(name: str, reports: list[Message]) -> list[Line]:
    gone = [process for report in reports for process in report["gone"]]
    survivors = [process for report in reports for process in report["survivors"]]
    seconds = max(report["seconds"] for report in reports)
    if not gone and not survivors:
        return [Line(f"{name} : nothing was running any more", C.COLOR_OK)]
    endings = collections.Counter(process["ended"] or "exited" for process in gone)
    how = ", ".join(f"{ending} {count}" for ending, count in sorted(endings.items()))
    text = f"{name} : ended {len(gone)}" + (f" ({how})" if how else "") + f", survivors {len(survivors)}, {seconds:.1f} s"
    lines = [Line(text, C.COLOR_ERROR if survivors else C.COLOR_CHANGED)]
    for process in survivors:
        command = process["command"]
        if len(command) > _COMMAND_WIDTH:
            command = command[: _COMMAND_WIDTH - 3] + "..."
        lines.append(Line(f"{'':{len(name)}}   survivor {process['pid']} ({process['user']}) {command}: {process['reason']}", C.COLOR_ERROR))
    spared = [process for report in reports for process in report["spared"]]
    if spared:
        pids = ", ".join(str(process["pid"]) for process in spared)
        lines.append(Line(f"{'':{len(name)}}   spared {len(spared)} (TREEKILL=spare): pid {pids}", C.COLOR_WARN))
    return lines


def _unconfirmed(result: Message) -> str:
    reason = " ".join(result["reason"].split())
    if result["outcome"] == "trying":
        return f"{reason}. Tried again for {result['retry_for']:g} s in all, also after this command has ended."
    return reason


def _escaped(text: str) -> str:
    """As one line of printable characters: a command line may hold newlines and terminal control sequences."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii") for character in text)
