# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a file that is sent to hosts: all that runs, as it was written, and nothing else."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._payload import bundler
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.bundler import (
    LOAD,
    ProgramTexts,
)

PACKAGE = "ansible_collections.treekill.remote.plugins.module_utils"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bundler, "_FOLDER", tmp_path)
    return tmp_path


def program(folder: Path, **files: str) -> list[str]:
    """Return the parts of the program that begins with start() in _first."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return ProgramTexts({"_first": "start"}).parts("_first")


def run(parts: list[str]) -> dict[str, Any]:
    """Return the namespace after the first part has run."""
    names: dict[str, Any] = {"P": parts}
    exec(parts[0] + LOAD, names)
    return names


def test_what_runs_goes_along_as_it_was_written(folder):
    text = '''
        """A docstring."""
        TYPE_CHECKING = False
        if TYPE_CHECKING:
            from typing import List

        LINES = """one  # no comment

            two"""
        PAIRS: "List[str]" = ['it\\'s # one', "\\"#"]  # a comment, isn't it?


        class Base:
            """Has nothing but this."""


        class Kept(Base):
            """With a member that is not used."""

            def __repr__(self) -> "str":
                return unused()


        def start(count: "int" = 2, *rest: "int", **more: "int") -> "List[str]":
            """A docstring."""
            # A comment.
            found: "List[str]"
            found = []
            number: "int" = count
            for _ in range(number):

                found.append(LINES)
            return found + PAIRS + [Kept.__name__]


        def unused():
            return 1
    '''
    parts = program(folder, _first=text)
    assert run(parts)["start"]() == ["one  # no comment\n\n    two"] * 2 + [
        "it's # one",
        '"#',
        "Kept",
    ]
    for gone in (
        "docstring",
        "A comment",
        "unused",
        "typing",
        "->",
        ": int",
        "TYPE_CHECKING",
        "__repr__",
        "\n\n def",
    ):
        assert gone not in parts[0]


def test_a_file_that_is_imported_within_a_function_is_a_part_that_is_loaded_there(folder):
    parts = program(
        folder,
        _first=f"""
            from {PACKAGE}._always import twice

            def start():
                if twice(1) == 2:
                    from {PACKAGE}._later import answer
                return answer()
        """,
        _always="def twice(x):\n    return 2 * x\n",
        _later=f"from {PACKAGE}._always import twice\nfrom {PACKAGE}._last import HALF\n\n\n"
        "def answer():\n    return twice(HALF)\n",
        _last="HALF = 21\n",
    )
    assert parts[1::2] == ["_last", "_later"]
    assert run(parts)["start"]() == 42


def test_names_that_only_something_unused_mentions_are_not_used(folder):
    parts = program(
        folder,
        _first="""
            def start():
                return "helper", Thing().used

            class Thing:
                used = 1
                left_out = 2

                def helper(self):
                    return deeper()

            def deeper():
                return Thing.left_out
        """,
    )
    assert [
        node.name
        for node in ast.parse(parts[0]).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ] == ["start", "Thing"]
    assert "left_out" not in parts[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"def start():\n    from {PACKAGE}._other import other as another\n", "second name"),
        (
            (
                f"from {PACKAGE}._other import other\n\n\ndef start():\n    other()\n\n\n"
                "def twin():\n    pass\n"
            ),
            "twin is defined in",
        ),
        ("def start(x):\n    return f'{x}'\n", "names in it"),
        (
            (
                "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import os\nelse:\n"
                "    import sys\n\n\n"
                "def start():\n    pass\n"
            ),
            "not only imports",
        ),
        ("def start():\n    return '\u00e4'\n", "ascii"),
    ],
    ids=["second name", "defined twice", "names in a string", "else", "not ASCII"],
)
def test_what_would_go_wrong_on_a_host_is_refused_here(folder, text, reason):
    with pytest.raises(ValueError, match=reason):
        program(folder, _first=text, _other="def other():\n    pass\n\n\ndef twin():\n    pass\n")


@pytest.mark.parametrize(
    "path",
    sorted(bundler._FOLDER.rglob("*.py")),
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_what_is_shortened_means_what_was_written(path):
    text = path.read_text(encoding="ascii")
    shortened = bundler._SHORTENED.sub(bundler._shorter, text)
    assert len(shortened) < len(text)
    assert ast.dump(ast.parse(shortened)) == ast.dump(ast.parse(text))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("x = [\n    1,  # one\n    2,\n]\n", "x=[1,2,]\n"),
        ("x = (\n    a,\n)\n", "x=(a,)\n"),
        ("x = (\n    a\n    + b\n)\n", "x=(a+b)\n"),
        ("x = -1 if a == 'b , c' else -1\n", "x=-1 if a=='b , c' else-1\n"),
        ("x = (\n    a\n    # why\n    or b\n)\n", "x=(a or b)\n"),
        ("if a:\n    *b, c = d\n", "if a:\n *b,c=d\n"),
    ],
)
def test_blanks_and_line_ends_that_mean_nothing_stay_at_home(written, sent):
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(sent))
    assert bundler._SHORTENED.sub(bundler._shorter, written) == sent
