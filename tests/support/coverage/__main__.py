# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that writes docs/coverage.md, and what README.md takes from it.

`python -m tests.support.coverage` makes both from the records of test runs. With names of sections
it makes these sections again, and leaves the others as they are. With `--add` it adds the rows of
ansible-cores that the page does not have yet, and keeps what other cores have shown.
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


#: A cell without a row, and one with counts of rows that passed and failed.
NONE = "**no row**"
_COUNTS = re.compile(r"(?=.)(\d+)?(?:(?:, )?\*\*(\d+) FAILED\*\*)?")
_RECORDED = re.compile(r"^Recorded on ansible-core (.*)\.$", re.MULTILINE)

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


def added(cells: Cells, page: str) -> str:
    """Return the page with the rows of the ansible-cores that its lines do not name yet."""
    cores = {core: {*pythons} for core, pythons in _cores_of(page).items()}
    new: dict[str, dict[str, dict[str, list[Ended]]]] = defaultdict(lambda: defaultdict(dict))
    for (section, subject, end), rows in cells.items():
        new[section][subject][end] = rows
    kept = _sections_of(page)
    parts = [page.split("\n## ", maxsplit=1)[0].rstrip("\n")]
    for section, ends in SECTIONS.items():
        lines = "\n".join(kept.get(section, [_of_section(section, [], {})])).split("\n")
        shown = {line.split(" | ")[0].removeprefix("| "): line for line in lines if _is_row(line)}
        for subject, of_subject in new[section].items():
            before = shown.get(subject) or _row(subject, section, {})
            there = before.removesuffix(" |").rpartition("| ")[2].split(", ")
            fresh = [
                [row for row in of_subject.get(end, []) if _release(row.core) not in there]
                for end in ends
            ]
            if any(fresh):
                shown[subject] = _row_added(before, fresh)
                for row in (row for rows in fresh for row in rows):
                    cores.setdefault(row.core, set()).add(row.python)
        if shown:
            head = [line for line in lines if not _is_row(line)]
            under = next(at for at, line in enumerate(head) if line.startswith("|---")) + 1
            table_rows = [shown[subject] for subject in sorted(shown, key=str.lower)]
            parts.append("\n".join([*head[:under], *table_rows, *head[under:]]).rstrip("\n"))
    text = "\n".join(parts) + "\n"
    return _RECORDED.sub(lambda dummy: f"Recorded on ansible-core {_listed(cores)}.", text)


def _release(core: str) -> str:
    """Return the first two numbers of a version, as the last column has them."""
    return ".".join(core.split(".")[:2])


def _is_row(line: str) -> bool:
    return line.startswith("| ") and not line.startswith("| |")


def _row_added(line: str, ended: list[list[Ended]]) -> str:
    """Return a line of the page with the rows of further cores, a list of them for each column."""
    subject, *shown, cores = line.removeprefix("| ").removesuffix("|").split(" | ")
    for at, rows in enumerate(ended):
        before = _COUNTS.fullmatch(shown[at])
        outcomes = ["passed", "failed"] if before else []
        known = [
            Ended("", outcome, "")
            for outcome, number in zip(outcomes, before.groups() if before else (), strict=True)
            for dummy in range(int(number or 0))
        ]
        if rows and (known or shown[at] == NONE or any(row.outcome != "skipped" for row in rows)):
            shown[at] = _cell([*known, *rows], shown[at])
    passed = {_release(row.core) for rows in ended for row in rows if row.outcome == "passed"}
    listed = sorted({*filter(None, cores.strip().split(", ")), *passed}, key=natural)
    return f"| {subject} | {' | '.join(shown)} | {', '.join(listed)} |"


def _sections_of(page: str) -> dict[str, list[str]]:
    """Return the text of each section of a page."""
    parts = page.split("\n## ")[1:]
    return {part.split("\n")[0]: [f"\n## {part}".rstrip("\n")] for part in parts}


def _cores_of(page: str) -> dict[str, set[str]]:
    """Return the cores on which a page was recorded, and the Pythons of each."""
    found = _RECORDED.search(page)
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
    lines += [_row(subject, section, cells) for subject in subjects]
    remarks = [
        f"- {subject}: {REMARKS[section, subject]}"
        for subject in subjects
        if (section, subject) in REMARKS
    ]
    return "\n".join([*lines, *(["", *remarks] if remarks else [])])


def _row(subject: str, section: str, cells: Cells) -> str:
    ends = SECTIONS[section]
    ended = [row for end in ends for row in cells.get((section, subject, end), ())]
    cores = sorted({_release(row.core) for row in ended if row.outcome == "passed"}, key=natural)
    shown = [
        _cell(
            cells.get((section, subject, end), []),
            NO_ROW.get((section, subject, end), NO_ROWS.get((section, end), NONE)),
        )
        for end in ends
    ]
    return f"| {subject} | {' | '.join(shown)} | {', '.join(cores)} |"


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
    parser.add_argument("--add", action="store_true", help="add what other cores have shown")
    options = parser.parse_args(arguments)
    again = options.sections or tuple(SECTIONS)
    cells = {
        where: rows
        for where, rows in read(sorted(RECORDS.glob("*.json"))).items()
        if where[0] in again
    }
    page = TABLE.read_text(encoding="utf-8")
    TABLE.write_text(
        added(cells, page) if options.add else table(cells, page, again), encoding="utf-8"
    )
    README.write_text(
        with_supported(README.read_text(encoding="utf-8"), TABLE.read_text(encoding="utf-8")),
        encoding="utf-8",
    )
    print(TABLE, README, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
