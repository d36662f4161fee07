# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a kill pass. It goes from the courier to the recap and to the report file."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord

#: Characters of a hand-off's name that are reported.
_MAX_CHARACTERS = 120

#: Characters besides letters and digits that a shell leaves as they are.
_PLAIN = frozenset("@%+=:,./^-_")


@dataclasses.dataclass(frozen=True)
class ReportedProcess(JsonRecord):
    """A process of the tree.

    `start` distinguishes it from a later process with this pid. `ended` says how it ended: None
    for a live process.
    """

    pid: int
    start: int
    ppid: int
    user: str
    command: str
    role: str
    ended: str | None
    seconds: float | None
    reason: str = ""
    #: C(finishing), C(finished) or C(broken off), if it is or was in a transaction.
    transaction: str = ""

    @property
    def identity(self) -> tuple[int, int]:
        """Its pid and start time, which no other process of the host has."""
        return self.pid, self.start

    @property
    def program(self) -> str:
        """The name of its program, without directory and arguments."""
        words = self.command.split("\0" if "\0" in self.command else None, 1)
        return (words[0].rpartition("/")[2] if words else "") or self.command


@dataclasses.dataclass(frozen=True)
class ReportedHandOff(JsonRecord):
    """Something that a task has asked others for: a container, a command elsewhere, a unit."""

    #: C(container), C(host), C(unit), C(queue) or C(terminal).
    kind: str
    #: The client that has asked for it.
    program: str
    what: str
    #: A command that shows whether it goes on; empty if there is none. Its words are joined by NUL
    #: until secrets are masked: a quotation mark must not be masked with one.
    look: str
    #: Whether the client was a process of the tree. Otherwise the text of the task names it.
    seen: bool
    #: C(left), or C(stopped).
    state: str


@dataclasses.dataclass(frozen=True)
class KillReport(JsonRecord):
    """The work of a kill pass. `root`: pid and ppid of the first process, if it was there."""

    method: str
    root: tuple[int, int] | None
    gone: tuple[ReportedProcess, ...]
    survivors: tuple[ReportedProcess, ...]
    spared: tuple[ReportedProcess, ...]
    unreadable: int
    escalated: bool
    #: Whether a supervisor was there, or had done the work.
    supervised: bool
    seconds: float
    #: What may go on elsewhere. No host reports it: the courier adds it.
    elsewhere: tuple[ReportedHandOff, ...] = ()
    #: Live processes that take part in a transaction, which is left to finish.
    finishing: tuple[ReportedProcess, ...] = ()

    @property
    def processes(self) -> tuple[ReportedProcess, ...]:
        """All processes of the report."""
        return (*self.gone, *self.survivors, *self.spared, *self.finishing)

    def rewritten(
        self, command: t.Callable[[str], str], reason: t.Callable[[str], str]
    ) -> KillReport:
        """Return the report with these functions applied to each command line and each reason.

        To be called once: it also quotes the commands to look.
        """

        def rows(of: tuple[ReportedProcess, ...]) -> tuple[ReportedProcess, ...]:
            return tuple(
                dataclasses.replace(one, command=command(one.command), reason=reason(one.reason))
                for one in of
            )

        return dataclasses.replace(
            self,
            gone=rows(self.gone),
            survivors=rows(self.survivors),
            spared=rows(self.spared),
            elsewhere=tuple(
                dataclasses.replace(
                    one,
                    what=command(one.what)[:_MAX_CHARACTERS],
                    # With a mask in it, a command shows nothing. What masks a command line may join
                    # its words by spaces.
                    look=_quoted(one.look)
                    if command(one.look).replace("\0", " ") == one.look.replace("\0", " ")
                    else "",
                )
                for one in self.elsewhere
            ),
            finishing=rows(self.finishing),
        )


def _quoted(look: str) -> str:
    """Return words that are joined by NUL as a shell takes them."""
    return " ".join(
        word
        if word and all(one in _PLAIN or one < "\x7f" and one.isalnum() for one in word)
        else "'" + word.replace("'", "'\\''") + "'"
        for word in (look.split("\0") if look else ())
    )


def merge(first: KillReport, second: KillReport) -> KillReport:
    """Return one report made of two reports of one tree.

    A process is gone if one of them says so. It has survived only if each report that names it has
    it alive, and none leaves it to finish.
    """
    gone = _by_identity(first.gone)
    for process in second.gone:
        if process.identity not in gone or process.ended == "KILL":
            gone[process.identity] = process
    survivors = _by_identity(first.survivors + second.survivors)
    spared = _by_identity(first.spared + second.spared)
    finishing = _by_identity(first.finishing + second.finishing)
    return KillReport(
        method=first.method,
        root=first.root or second.root,
        gone=tuple(gone.values()),
        survivors=tuple(
            process
            for identity, process in survivors.items()
            if identity not in gone and identity not in finishing
        ),
        spared=tuple(spared.values()),
        unreadable=max(first.unreadable, second.unreadable),
        escalated=first.escalated or second.escalated,
        supervised=first.supervised or second.supervised,
        seconds=max(first.seconds, second.seconds),
        elsewhere=_hand_offs(first.elsewhere + second.elsewhere),
        finishing=tuple(process for identity, process in finishing.items() if identity not in gone),
    )


def _by_identity(
    processes: t.Iterable[ReportedProcess],
) -> dict[tuple[int, int], ReportedProcess]:
    """Return each process once: the last of its rows, at the place of the first."""
    return {process.identity: process for process in processes}


def _hand_offs(found: t.Iterable[ReportedHandOff]) -> tuple[ReportedHandOff, ...]:
    """Return each hand-off once: as stopped if one report says so, and else as seen."""
    merged: dict[tuple[str, ...], ReportedHandOff] = {}
    for one in found:
        name = (one.kind, one.program, one.what, one.look)
        known = merged.setdefault(name, one)
        if (one.state == "stopped", one.seen) > (known.state == "stopped", known.seen):
            merged[name] = one
    return tuple(merged.values())
