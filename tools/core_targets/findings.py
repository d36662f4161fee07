# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The finding of each target, kept in a file as soon as it is known.

All targets of a core take hours, and may be run by several commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.environment._sources import digest

from .verdict import BAD, JUDGED, Verdict


@dataclass(frozen=True)
class Finding:
    """The finding of one target."""

    target: str
    verdict: Verdict
    #: Its line in the output.
    line: str
    #: Lines that the collection has printed in it.
    said: Sequence[str]
    #: The state of the collection's plugins in its run, by `state_of`.
    plugins: str
    #: Seconds that each run of it was given.
    limit: float

    def holds(self, plugins: str, limit: float) -> bool:
        """Whether the target need not run again with these plugins and this limit.

        A target that did not differ is trusted with other plugins too. A target that differs
        without being listed is always judged again: the list may have changed.
        """
        if self.verdict is Verdict.TOO_SLOW:
            return limit <= self.limit
        return self.verdict in (Verdict.SAME, Verdict.FAILS_WITHOUT) or (
            self.plugins == plugins and self.verdict not in BAD
        )


class Findings:
    """A file with a line for each examined target. The last line of a target counts."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[str, Finding]:
        """Return the findings by name, in the order of the names."""
        try:
            found = [
                json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines()
            ]
        except FileNotFoundError:
            return {}
        return {
            one["target"]: Finding(**{**one, "verdict": Verdict(one["verdict"])})
            for one in sorted(found, key=lambda one: str(one["target"]))
        }

    def add(self, finding: Finding) -> None:
        """Write it behind the others, at once."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(finding), "verdict": finding.verdict.value}) + "\n")


def state_of(collection: Path) -> str:
    """Return a state that changes with any file below its `plugins`."""
    paths = sorted(
        str(path.relative_to(collection))
        for path in (collection / "plugins").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    return digest(collection, paths)


def figures(release: str, chosen: int, found: Mapping[str, Finding]) -> str:
    """Return the row of that core in docs/figures.md."""
    of = {verdict: sum(one.verdict is verdict for one in found.values()) for verdict in Verdict}
    judged = sum(of[verdict] for verdict in JUDGED)
    differ = of[Verdict.DIFFERS] + of[Verdict.LISTED] + of[Verdict.UNGUARDED]
    return (
        f"| {release} | {chosen} | {judged} | {of[Verdict.SAME]} | {differ} "
        f"| {of[Verdict.UNSTEADY]} | {of[Verdict.FAILS_WITHOUT]} | {of[Verdict.TOO_SLOW]} |"
    )


def with_other_plugins(found: Iterable[Finding], plugins: str) -> list[str]:
    """Return the names of those that were judged with other plugins than these."""
    return [one.target for one in found if one.plugins != plugins and one.verdict in JUDGED]
