# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that writes docs/coverage.md, and what README.md takes from it.

`python -m tests.support.coverage` makes both from the records of test runs.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .notes import ENDS, NO_ROW, REMARKS, SECTIONS
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
- *KILL of main* is SIGKILL of `ansible-playbook`,
- *timeout* is the task's own `timeout:`.
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


def table(cells: Cells) -> str:
    """Return the page, in Markdown."""
    parts = [HEAD, f"Recorded on ansible-core {_recorded_on(cells)}."]
    for section in SECTIONS:
        subjects = sorted(
            {subject for where, subject, dummy in [*cells, *NO_ROW] if where == section},
            key=str.lower,
        )
        if subjects:
            parts.append(_of_section(section, subjects, cells))
    return "\n".join(parts) + "\n"


def _recorded_on(cells: Cells) -> str:
    """Return each core with the Pythons of the controller, the oldest first."""
    pythons: dict[str, set[str]] = defaultdict(set)
    for row in (row for rows in cells.values() for row in rows):
        pythons[row.core].add(row.python)
    return (
        ", ".join(
            f"{core} (Python {', '.join(sorted(pythons[core], key=natural))})"
            for core in sorted(pythons, key=natural)
        )
        or "(nothing)"
    )


def _of_section(section: str, subjects: list[str], cells: Cells) -> str:
    lines = [
        f"\n## {section}\n",
        f"| | {' | '.join(ENDS)} | ansible-core |",
        "|---" * (len(ENDS) + 2) + "|",
    ]
    for subject in subjects:
        ended = [row for end in ENDS for row in cells.get((section, subject, end), ())]
        cores = sorted(
            {".".join(row.core.split(".")[:2]) for row in ended if row.outcome == "passed"},
            key=natural,
        )
        shown = [
            _cell(
                cells.get((section, subject, end), []),
                NO_ROW.get((section, subject, end), "**no row**"),
            )
            for end in ENDS
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


if __name__ == "__main__":
    TABLE.write_text(table(read(sorted(RECORDS.glob("*.json")))), encoding="utf-8")
    README.write_text(
        with_supported(README.read_text(encoding="utf-8"), TABLE.read_text(encoding="utf-8")),
        encoding="utf-8",
    )
    print(TABLE, README, sep="\n")
    sys.exit(0)
