# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that a sweep is due for, and the reminder of them.

The next guarded run of the user reminds of each such run once. A run that sweeps does not.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import (
    folded,
    natural,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import escaped
from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_entry import (
        JournalEntry,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
        JournalRecord,
    )

_SWEEP = "treekill.remote.sweep"

#: Runs that the reminder names.
_MAX_RUNS = 3

#: Bytes of a file that is looked at. A run that is over has a shorter one, unless thousands of its
#: commands are open.
_MAX_BYTES = 1024 * 1024


def due(directory: str) -> list[JournalEntry]:
    """Return the runs of the journal with open commands of which no run has reminded yet.

    Raises:
        OSError: the journal can't be read.
    """
    paths = [
        os.path.join(directory, name)
        for name in os.listdir(directory)
        if name.endswith(journal.SUFFIX)
    ]
    found = [journal.read(path) for path in paths if _may_be_due(path)]
    open_runs = [entry for entry in found if entry is not None and entry.open_hosts()]
    return sorted(open_runs, key=lambda entry: entry.head.began, reverse=True)


def _may_be_due(path: str) -> bool:
    """Whether it is worth reading all lines of a file. Most runs have no open command."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        content = file.read(_MAX_BYTES)
        return b'"opened"' in content and b'"reminded"' not in content
    return False


def reminder(entries: t.Sequence[JournalEntry]) -> str:
    """Return the reminder of these runs, as one line."""
    runs = [
        f"{entry.run} ({' '.join(map(os.path.basename, entry.head.playbooks))},"
        f" {entry.head.began}) on {_hosts(entry)}"
        for entry in entries[:_MAX_RUNS]
    ]
    if entries[_MAX_RUNS:]:
        runs.append(f"and {len(entries) - _MAX_RUNS} more")
    number = "an earlier run" if len(entries) == 1 else f"{len(entries)} earlier runs"
    return escaped(
        f"treekill.remote: a sweep is due. Processes of {number} may have been alive when this"
        f" run began: {', '.join(runs)}. To end them, run: {'; '.join(_commands(entries))}"
    )


def _commands(entries: t.Sequence[JournalEntry]) -> list[str]:
    """Return the commands that sweep for these runs: mostly one, with the inventories of all.

    Where two of the runs have different hosts of one name, each list of inventories gets its own.
    In one command, the last inventory would hide the host of the other.
    """
    addresses: dict[str, set[str]] = {}
    for entry in entries:
        for host in entry.open_hosts():
            addresses.setdefault(host, set()).update(entry.addresses(host))
    lists = [entry.head.inventory for entry in entries]
    if all(len(known) < 2 for known in addresses.values()):
        lists = [tuple(source for sources in lists for source in sources)]
    commands = []
    for sources in dict.fromkeys(lists):
        words = ["ansible-playbook", _SWEEP]
        words += [word for source in dict.fromkeys(sources) for word in ("-i", source)]
        words += ["--become", "-e", "sweep_journal=only"]
        commands.append(" ".join(map(shlex.quote, words)))
    return commands


def _hosts(entry: JournalEntry) -> str:
    return folded(sorted(map(escaped, entry.open_hosts()), key=natural))


def note(directory: str, runs: t.Iterable[str], record: JournalRecord) -> None:
    """Note in the journal that the user was reminded of these runs.

    A run whose file is gone is left out.

    Raises:
        OSError: it can't be written.
    """
    for run in runs:
        with contextlib.suppress(FileNotFoundError, ValueError):
            journal.append(directory, run, [record])
