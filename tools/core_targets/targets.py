# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The targets of a core that are run.

They are those for POSIX hosts that its own CI runs, without those that the list names with a
reason.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

TARGETS = Path("test/integration/targets")
LIST = Path(__file__).with_name("list.yml")


@dataclass(frozen=True)
class Listed:
    """The content of list.yml."""

    #: Pattern of names or of aliases: reason why such targets can't run here.
    not_run: Mapping[str, str]
    #: Name: reason why it ends otherwise with the callback, and has to.
    differ: Mapping[str, str]
    #: Name: reason why no run of it can be guarded.
    no_run: Mapping[str, str]
    #: Names of those that are run without the callback as well, to compare how long they take. An
    #: interruption is part of them.
    timed: frozenset[str]
    #: Names of those that `make test` runs.
    quick: frozenset[str]

    @classmethod
    def read(cls, path: Path = LIST) -> Listed:
        """Read the list. Raises ValueError for a name without a reason."""
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for part in ("not_run", "differ", "no_run"):
            for name, reason in (content[part] or {}).items():
                if not isinstance(reason, str) or not reason.strip():
                    raise ValueError(f"{path.name}: {part}: {name} has no reason")
        return cls(
            content["not_run"] or {},
            content["differ"] or {},
            content["no_run"] or {},
            frozenset(content["timed"]),
            frozenset(content["quick"]),
        )


@dataclass
class Chosen:
    """The targets of one core."""

    run: list[str] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)


def aliases(text: str) -> frozenset[str]:
    """Return the words of a file `aliases`, without comments."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def choose(known: Mapping[str, Iterable[str]], not_run: Mapping[str, str]) -> Chosen:
    """Choose among targets, given with their aliases."""
    chosen = Chosen()
    for name, words in sorted(known.items()):
        if not any(word.startswith("shippable/posix/") for word in words):
            continue  # hidden, or for Windows, clouds and the like
        reason = next(
            (
                why
                for pattern, why in not_run.items()
                if any(fnmatch.fnmatchcase(one, pattern) for one in (name, *words))
            ),
            None,
        )
        if reason is None:
            chosen.run.append(name)
        else:
            chosen.not_run[name] = reason
    return chosen


def read(source: Path) -> dict[str, frozenset[str]]:
    """Return the targets of unpacked sources, with their aliases."""
    files = sorted((source / TARGETS).glob("*/aliases"))
    return {file.parent.name: aliases(file.read_text(encoding="utf-8")) for file in files}
