# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the collection as its doc fragments have them, with their texts in Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from ansible_collections.treekill.remote.plugins.doc_fragments.kill import ARGUMENT_NAMES
from ansible_collections.treekill.remote.plugins.doc_fragments.kill import (
    ModuleDocFragment as KillFragment,
)
from ansible_collections.treekill.remote.plugins.doc_fragments.record import (
    ModuleDocFragment as RecordFragment,
)

#: A heading for each fragment. All but the first are for the run alone.
SECTIONS: Mapping[str, str] = {
    "How trees are ended, and what is guarded": KillFragment.DOCUMENTATION,
    "What still runs in an interrupted play": KillFragment.ALWAYS,
    "What is run after the kill": KillFragment.AFTER_KILL,
    "What is written down": RecordFragment.DOCUMENTATION,
}

_TASK, _RUN = "each task", "the run"
#: The options of the first fragment that not each task looks up by itself, as their descriptions
#: have it.
COUNTS_FOR = {"kill_wait": _RUN, "track": f"{_RUN}; `none` for each task"}

_MARKUP = re.compile(r"\b([A-Z]{1,3})\(([^)]*)\)")


@dataclass(frozen=True)
class Option:
    """One option, in the words of its documentation."""

    name: str
    section: str
    type: str
    default: str  #: as a user would write it; empty for none
    choices: tuple[str, ...]
    paragraphs: tuple[str, ...]
    ini: tuple[str, str]  #: section and key
    environment: str
    variable: str
    counts_for: str
    argument: bool
    since: str  #: the version that has it first; empty for 1.0.0

    @property
    def of_the_run(self) -> bool:
        """Whether no task looks at it."""
        return self.counts_for == _RUN

    @classmethod
    def of(cls, name: str, section: str, described: Mapping[str, Any]) -> Option:
        """Return the options below `options`.

        Raises ValueError for a source that the page would not show.
        """
        (ini,), (environment,), (variable,) = described["ini"], described["env"], described["vars"]
        unknown = set(described) - {
            "description",
            "type",
            "elements",
            "default",
            "choices",
            "ini",
            "env",
            "vars",
            "version_added",
        }
        if unknown:
            raise ValueError(f"{name}: the page does not show {', '.join(sorted(unknown))}")
        description = described["description"]
        return cls(
            name=name,
            section=section,
            type=f"list of {described['elements']}"
            if "elements" in described
            else described["type"],
            default=_written(described["default"]),
            choices=tuple(described.get("choices", ())),
            paragraphs=tuple(
                markdown(text)
                for text in ([description] if isinstance(description, str) else description)
            ),
            ini=(ini["section"], ini["key"]),
            environment=environment["name"],
            variable=variable["name"],
            counts_for=COUNTS_FOR.get(name, _TASK) if section == next(iter(SECTIONS)) else _RUN,
            argument=name in ARGUMENT_NAMES,
            since=described.get("version_added", ""),
        )


def options() -> list[Option]:
    """Return all of them, in the order of their documentation."""
    return [
        Option.of(name, section, described)
        for section, text in SECTIONS.items()
        for name, described in yaml.safe_load(text)["options"].items()
    ]


def _written(default: object) -> str:
    if default in ("", []):
        return ""
    if isinstance(default, list):
        return ", ".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def markdown(text: str) -> str:
    """Return semantic markup as Markdown.

    Raises ValueError for markup that no option has had so far.
    """

    def shown(found: re.Match[str]) -> str:
        kind, words = found.groups()
        if kind == "O":
            return f"[`{words}`](#{words.partition('=')[0]})"
        if kind in {"C", "V", "E"}:
            return f"`{words}`"
        raise ValueError(f"no Markdown is known for {found.group()}")

    return _MARKUP.sub(shown, text)
