# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of README.md that names what is supported.

That is, of the table in docs/coverage.md, each subject that has a row of each kind and none that
failed.
"""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parents[3] / "README.md"

BEGIN, END = (
    "<!-- from docs/coverage.md, by python -m tests.support.coverage -->",
    "<!-- until here -->",
)

#: Words of README, and the sections of docs/coverage.md that they stand for.
PARTS = (
    ("Connections", ("Connections",)),
    ("Become", ("Become",)),
    ("Hosts", ("Targets", "Hosts without Python")),
    ("Started by", ("Front ends",)),
)

_VERSION = re.compile(r"(Python|Debian) (\S+)")
_SECTION = re.compile(r"^## (.+)\n\n\|.*\n\|.*\n((?:\|.*\n)*)", re.MULTILINE)
_RECORDED = re.compile(r"^Recorded on ansible-core (.*)\.$", re.MULTILINE)
_BETWEEN = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)


def supported(table: str) -> str:
    """Return the lines for README.

    table: the text of docs/coverage.md.
    """
    recorded = _RECORDED.search(table)
    if recorded is None:
        raise ValueError("the table does not name the ansible-core on which it was recorded")
    sections = {name: _covered(rows) for name, rows in _SECTION.findall(table)}
    rows = [("ansible-core", recorded[1])]
    rows += [
        (part, "; ".join(text for name in names for text in _folded(sections.get(name, []))))
        for part, names in PARTS
    ]
    head = ["| | with tests that passed, for each way in which a run or a task ends |", "|---|---|"]
    return "\n".join([*head, *(f"| {part} | {text} |" for part, text in rows)])


def with_supported(readme: str, table: str) -> str:
    """Return the text of README.md with these lines in their place."""
    if len(_BETWEEN.findall(readme)) != 1:
        raise ValueError(f"no single place for it in README.md, from {BEGIN} {END}")
    return _BETWEEN.sub(lambda dummy: f"{BEGIN}\n{supported(table)}\n{END}", readme)


def _folded(subjects: list[str]) -> list[str]:
    """Write words that several subjects begin with once.

    Such words stand before a comma or a version: `sudo (NOPASSWD, with password)`,
    `Python 3.6, 3.7`.
    """
    heads: dict[str, list[str]] = {}
    for subject in subjects:
        version = _VERSION.fullmatch(subject)
        heads.setdefault(version[1] if version else subject.partition(", ")[0], []).append(subject)
    return [
        _once(head, sorted(ones, key=natural)) if len(ones) > 1 else ones[0]
        for head, ones in heads.items()
    ]


def _once(head: str, subjects: list[str]) -> str:
    tails = ", ".join(
        filter(None, (subject.removeprefix(head).lstrip(", ") for subject in subjects))
    )
    return f"{head} {tails}" if _VERSION.fullmatch(subjects[0]) else f"{head} ({tails})"


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key by which 2.9 comes before 2.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _covered(rows: str) -> list[str]:
    """Return the subjects of a section of which each end has a row, was run, and did not fail."""
    return [
        row.split(" | ")[0].removeprefix("| ")
        for row in rows.splitlines()
        if "**" not in row and "not run: " not in row
    ]
