# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the documentation.

Modules have them in their EXAMPLES. Roles have plays in their README.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from .pages import ROOT, Piece, pieces_of

_PLAY = re.compile(r"^- (name: .*\n  )?hosts:", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """The example of one module or role, and a playbook that runs it as it stands."""

    name: str  #: of the module, or `role` and its name
    playbook: str
    files: tuple[tuple[str, str], ...] = ()  #: beside the playbook: name and text

    def __str__(self) -> str:
        return self.name


def of_modules() -> list[Example]:
    """Return tasks, one after the other, on the first host of a lab."""
    playbook = (
        "- hosts: web1\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.import_tasks: example.yml\n"
    )
    paths = sorted(
        path for path in (ROOT / "plugins/modules").glob("*.py") if path.name != "__init__.py"
    )
    return [Example(path.stem, playbook, (("example.yml", text_of(path)),)) for path in paths]


def of_roles() -> list[Example]:
    """Return plays, in the order of the page."""
    found = []
    for page in sorted((ROOT / "roles").glob("*/README.md")):
        plays = [
            piece.text
            for piece in pieces_of(page.name, page.read_text(encoding="utf-8"))
            if is_play(piece)
        ]
        found.append(Example(f"role {page.parent.name}", "".join(plays)))
    return found


def is_play(piece: Piece) -> bool:
    """Whether a block of a page is a playbook."""
    return piece.language in ("yaml", "yml") and bool(_PLAY.search(piece.text))


def text_of(path: Path) -> str:
    """Return what a plugin has assigned to EXAMPLES; empty without that."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [
            target.id for target in node.targets if isinstance(target, ast.Name)
        ] == ["EXAMPLES"]:
            return str(ast.literal_eval(node.value))
    return ""
