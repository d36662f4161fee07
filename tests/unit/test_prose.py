# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prose calls a process, a host and a file *it*: words for persons are for persons.

CONTRIBUTING has this rule.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "plugins/module_utils",
    "plugins/modules",
    "plugins/doc_fragments",
    "plugins/plugin_utils/_payload",
    "tests/support",
    "tools",
)
#: Shell and YAML in those folders.
OTHERS = (
    "plugins/plugin_utils/_payload/kill_pass.sh",
    "tests/support/hosts/boot.sh",
    "tests/support/hosts/host-rc",
    "tests/support/hosts/host-systemd",
    "tests/support/hosts/hosts",
    "tests/support/hosts/rootless-bin/mknod",
    "tools/core_targets/list.yml",
    "tools/core_targets/on_host.sh",
)

PERSONS = re.compile(r"\b(who|whom|whoever|nobody|somebody|anybody|everybody)\b", re.IGNORECASE)
#: A user is a person.
EXCEPTIONS = re.compile(r"\busers? who\b", re.IGNORECASE)


def prose(source: str) -> list[str]:
    """Return the comments and the strings that are documentation."""
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    statements = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Expr, ast.Assign))
    ]
    texts = [
        node.value
        for node in statements
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and ("\n" in node.value or " " in node.value)
    ]
    return [" ".join(text.split()) for text in comments + texts]


def persons(texts: list[str]) -> list[str]:
    """Return the texts that have a word for a person."""
    return [text for text in texts if PERSONS.search(EXCEPTIONS.sub("", text))]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(
    "path",
    [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))],
    ids=named,
)
def test_a_process_is_it(path: Path):
    assert persons(prose(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("name", OTHERS)
def test_a_process_is_it_in_shell_and_yaml(name: str):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert persons([line for line in lines if line.lstrip().startswith("#")]) == []


def test_persons_are_found_in_each_kind_of_prose():
    source = (
        '"""Who is it?"""\n\n# nobody knows\nX = 1  # but somebody\n\n\ndef f():\n'
        '    """For the user who asks."""\n    return "whom"\n'
    )
    assert persons(prose(source)) == ["# nobody knows", "# but somebody", "Who is it?"]
