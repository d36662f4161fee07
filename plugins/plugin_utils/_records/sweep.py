# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sweep of one host: what is looked for, and what a user reads about it. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_entry import (
        JournalEntry,
        JournalLease,
    )

#: What the module process_tree_kill returns about a process, or about a command.
Row = t.Mapping[str, t.Any]

#: Processes that were ended which the summary lists for each look.
_MAX_ENDED = 10


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """The options of a sweep that choose what is looked for."""

    runs: t.Sequence[str]
    leases: t.Sequence[str]
    #: C(ask), C(only) or C(ignore).
    journal: str
    dead: bool
    older_than: str
    left_behind: bool


@dataclasses.dataclass(frozen=True)
class LookOptions:
    """The options of process_tree_kill that choose what is ended: runs, or abandoned commands."""

    runs: tuple[str, ...] = ()
    #: Empty for all of the runs.
    leases: tuple[str, ...] = ()
    left_behind: bool = False
    dead: bool = False
    older_than: str = ""

    def to_arguments(self) -> dict[str, object]:
        """Return the arguments of the module."""
        if self.dead:
            return {"dead": True, "older_than": self.older_than}
        leases = {"leases": [*self.leases]} if self.leases else {}
        return {"runs": [*self.runs], **leases, "left_behind": self.left_behind}


@dataclasses.dataclass(frozen=True)
class Look:
    """One task of process_tree_kill: its options, and what the user calls it."""

    what: str
    options: LookOptions
    #: The run and leases to note as swept in the journal, if nothing of them is alive.
    note: tuple[str, tuple[str, ...]] | None = None


@dataclasses.dataclass(frozen=True)
class Place:
    """A host of a sweep, by its name in the inventory and by what its connection connects to."""

    host: str
    address: str

    def may_have(self, lease: JournalLease) -> bool:
        """Whether a lease of the journal can be one of this host. Old leases have no address."""
        return lease.address in ("", self.address)


def looks(
    options: SweepOptions, entries: t.Iterable[JournalEntry], place: Place
) -> t.Iterator[Look]:
    """Yield what is to be looked for on a host, in this order.

    These are the open commands of the journal, the named runs, and abandoned commands.

    Args:
        options: those of the task.
        entries: the runs of the journal; none if it is not to be asked.
        place: the host.
    """
    for entry in entries:
        opened = [
            lease
            for lease in entry.open_hosts().get(place.host, [])
            if place.may_have(entry.leases[lease])
        ]
        leases = _wanted(options, entry, opened)
        if leases:
            named = LookOptions((entry.run,), leases, options.left_behind)
            note = (entry.run, leases) if len(leases) == len(opened) else None
            yield Look(_title(entry), named, note)
    if options.journal == "only":
        return
    if options.runs:
        named = LookOptions(tuple(options.runs), tuple(options.leases), options.left_behind)
        yield Look(f"run {', '.join(options.runs)}", named)
    if options.dead:
        yield Look("dead runs", LookOptions(dead=True, older_than=options.older_than))


def left_open(
    options: SweepOptions, entries: t.Iterable[JournalEntry], place: Place
) -> t.Iterator[str]:
    """Yield a text for the open commands of the journal whose host had another address.

    Another inventory may have another host of the same name. What is not found on this host shows
    nothing about that one. Arguments are as those of `looks`.
    """
    for entry in entries:
        others: dict[str, list[str]] = {}
        for lease in _wanted(options, entry, entry.open_hosts().get(place.host, [])):
            if not place.may_have(entry.leases[lease]):
                others.setdefault(entry.leases[lease].address, []).append(lease)
        for address, leases in others.items():
            yield (
                f"{_title(entry)}: the {place.host} of the journal was at {address}, and this"
                f" one is at {place.address}. So these commands were not looked for, and are"
                f" left open: {' '.join(leases)}"
            )


def _wanted(options: SweepOptions, entry: JournalEntry, opened: t.Iterable[str]) -> tuple[str, ...]:
    """Return those of the open leases of a run that a sweep with these options is about."""
    if options.runs and entry.run not in options.runs:
        return ()
    return tuple(lease for lease in opened if not options.leases or lease in options.leases)


def _title(entry: JournalEntry) -> str:
    return f"run {entry.run} ({' '.join(entry.head.playbooks)}, {entry.head.began})"


class Sweep:
    """The result of a sweep of one host, look by look."""

    def __init__(self, check: bool, open_elsewhere: t.Iterable[str] = ()) -> None:
        """Begin a summary.

        Args:
            check: whether nothing is ended, so that a later look may find a process again.
            open_elsewhere: the texts of `left_open`.
        """
        self._check = check
        self._seen: set[tuple[int, int]] = set()
        #: What the user reads, a text for each line.
        self.summary: list[str] = [*open_elsewhere]
        self._leaves_open = bool(self.summary)
        #: Each process that is alive, with the reason.
        self.alive: list[str] = []
        self.found = 0
        self.ended = 0
        self._complete = True

    def add(self, look: Look, result: t.Mapping[str, t.Any]) -> bool:
        """Add the result of a look. Return whether it is certain that nothing of it is alive."""
        found = self._new(result.get("found") or ())
        kept = self._new(result["survivors"])
        gone = result["gone"]
        self.found += len(found) + len(kept)
        self.ended += len(gone)
        self.alive += [_text(row, reason=True) for row in kept]
        if self._check:
            number = len(found) + len(kept)
            count = f"{number} process{'' if number == 1 else 'es'}"
            self.summary.append(f"{look.what}: {count if number else 'nothing is alive'}")
            self.summary += [_text(row) for row in found]
        else:
            number = len(kept)
            count = f"{len(gone)} ended, {number} survivor{'' if number == 1 else 's'}"
            nothing = not gone and not kept
            self.summary.append(f"{look.what}: {'nothing is alive' if nothing else count}")
            self.summary += [_text(row) for row in gone[:_MAX_ENDED]]
            if gone[_MAX_ENDED:]:
                self.summary.append(f"and {len(gone) - _MAX_ENDED} more")
        if kept:
            self.summary += ["not to be ended:" if self._check else "still alive:"]
            self.summary += [_text(row, reason=True) for row in kept]
        if not result["complete"]:
            self._complete = False
            usual = "not all processes could be looked at: use become"
            self.summary.append(str(result.get("msg") or usual))
        if result["left_alone"]:
            self.summary.append("left alone, see left_behind:")
            self.summary += [_command(tree) for tree in result["left_alone"]]
        return bool(result["complete"]) and not found and not kept

    def _new(self, rows: t.Iterable[Row]) -> list[Row]:
        fresh = [row for row in rows if (row["pid"], row["start"]) not in self._seen]
        if self._check:
            self._seen.update((row["pid"], row["start"]) for row in fresh)
        return fresh

    @property
    def ending(self) -> str:
        """The word of the verdict for this host."""
        if self._check and self.found:
            return "to be swept"
        if self.alive:
            return "with survivors"
        if self._leaves_open:
            return "left open"
        return "clean" if self._complete else "seen in part"


def _text(row: Row, *, reason: bool = False) -> str:
    words = [str(row["pid"]), str(row["user"]), str(row["command"])]
    if row.get("transaction"):
        words.append(f"(transaction: {row['transaction']})")
    return " ".join([*words, str(row["reason"])] if reason and row.get("reason") else words)


def _command(tree: Row) -> str:
    """Return a command by the name that the option leases takes, with its first process."""
    first: Row = next(iter(tree["processes"]), {})
    return f"{tree['lease']} {tree['state']} {first.get('command', '')}".rstrip()
