# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that writes docs/coverage.md, and what README.md takes from it.

`python -m tests.support.coverage` makes both from the records of test runs. With names of sections
it makes these sections again, and leaves the others as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .notes import NO_ROW, NO_ROWS, REMARKS, SECTIONS, SHOWN
from .plugin import RECORDS
from .supported import README, natural, with_supported

TABLE = Path(__file__).resolve().parents[3] / "docs" / "coverage.md"

HEAD = """# What is covered

Each number counts rows. One row is one run of Ansible against real hosts, ended in the way that the
column names. After it, no process of its tasks is alive on any host, and no bystander has been
killed. The main process has ended as it does without the collection. The rows are tests of this
repository. This command runs all of them on one ansible-core:

```shell
make coverage
```

It writes this page again; only the remarks are written by hand. The columns:

- *interrupt* is SIGINT, Ctrl-C, or the way in which the front end cancels a run,
- *KILL of main* is SIGKILL of `ansible-playbook`; for a way to a task, of the whole controller,
- *timeout* is the task's own `timeout:`.

**no row** marks an end that no test has tried.
"""


@dataclass(frozen=True)
class Ended:
    """The end of one row on one core."""

    core: str
    outcome: str  #: passed, failed or skipped
    reason: str  #: of a skip
    python: str = ""  #: on the controller


Cells = Mapping[tuple[str, str, str], list[Ended]]


def read(records: Iterable[Path]) -> Cells:
    """Return the rows that cover each (section, subject, end), from one file for each core."""
    cells: dict[tuple[str, str, str], list[Ended]] = defaultdict(list)
    for path in records:
        for row in json.loads(path.read_text()).values():
            for section, subject, end in row["covers"]:
                cells[section, subject, end].append(
                    Ended(
                        path.stem,
                        row["outcome"],
                        row["reason"].removeprefix("Skipped: "),
                        row["python"],
                    )
                )
    return cells


def table(cells: Cells, page: str = "", again: Collection[str] = tuple(SECTIONS)) -> str:
    """Return the page, in Markdown.

    `page`: as it was. `again`: the sections that are made again; the others are taken from it.
    """
    kept = _sections_of(page)
    cores = _cores_of(page if {*again} < {*SECTIONS} else "")
    for row in (row for rows in cells.values() for row in rows):
        cores[row.core].add(row.python)
    parts = [HEAD, f"Recorded on ansible-core {_listed(cores)}."]
    for section in SECTIONS:
        if section not in again:
            parts.extend(kept.get(section, ()))
            continue
        subjects = sorted(
            {subject for where, subject, dummy in [*cells, *NO_ROW] if where == section},
            key=str.lower,
        )
        if subjects:
            parts.append(_of_section(section, subjects, cells))
    return "\n".join(parts) + "\n"


def _sections_of(page: str) -> dict[str, list[str]]:
    """Return the text of each section of a page."""
    parts = page.split("\n## ")[1:]
    return {part.split("\n")[0]: [f"\n## {part}".rstrip("\n")] for part in parts}


def _cores_of(page: str) -> dict[str, set[str]]:
    """Return the cores on which a page was recorded, and the Pythons of each."""
    found = re.search(r"^Recorded on ansible-core (.*)\.$", page, re.MULTILINE)
    cores: dict[str, set[str]] = defaultdict(set)
    for core, pythons in re.findall(r"(\S+) \(Python ([^)]*)\)", found[1] if found else ""):
        cores[core] = {*pythons.split(", ")}
    return cores


def _listed(cores: Mapping[str, Collection[str]]) -> str:
    """Return each core with the Pythons of the controller, the oldest first."""
    return (
        ", ".join(
            f"{core} (Python {', '.join(sorted(cores[core], key=natural))})"
            for core in sorted(cores, key=natural)
        )
        or "(nothing)"
    )


def _of_section(section: str, subjects: list[str], cells: Cells) -> str:
    ends = SECTIONS[section]
    lines = [
        f"\n## {section}\n",
        *([f"{SHOWN[section]}\n"] if section in SHOWN else []),
        f"| | {' | '.join(ends)} | ansible-core |",
        "|---" * (len(ends) + 2) + "|",
    ]
    for subject in subjects:
        ended = [row for end in ends for row in cells.get((section, subject, end), ())]
        cores = sorted(
            {".".join(row.core.split(".")[:2]) for row in ended if row.outcome == "passed"},
            key=natural,
        )
        shown = [
            _cell(
                cells.get((section, subject, end), []),
                NO_ROW.get((section, subject, end), NO_ROWS.get((section, end), "**no row**")),
            )
            for end in ends
        ]
        lines.append(f"| {subject} | {' | '.join(shown)} | {', '.join(cores)} |")
    remarks = [
        f"- {subject}: {REMARKS[section, subject]}"
        for subject in subjects
        if (section, subject) in REMARKS
    ]
    return "\n".join([*lines, *(["", *remarks] if remarks else [])])


def _cell(rows: list[Ended], otherwise: str) -> str:
    if not rows:
        return otherwise
    passed, failed = (
        sum(row.outcome == outcome for row in rows) for outcome in ("passed", "failed")
    )
    told = ([str(passed)] if passed else []) + ([f"**{failed} FAILED**"] if failed else [])
    # What passed on one core needs no reason for others that skipped it: the last column names the
    # cores.
    return ", ".join(told) or "not run: " + "; ".join(sorted({row.reason for row in rows}))


def main(arguments: list[str]) -> int:
    """Write both files."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.coverage")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    again = parser.parse_args(arguments).sections or tuple(SECTIONS)
    cells = {
        where: rows
        for where, rows in read(sorted(RECORDS.glob("*.json"))).items()
        if where[0] in again
    }
    TABLE.write_text(table(cells, TABLE.read_text(encoding="utf-8"), again), encoding="utf-8")
    README.write_text(
        with_supported(README.read_text(encoding="utf-8"), TABLE.read_text(encoding="utf-8")),
        encoding="utf-8",
    )
    print(TABLE, README, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
