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
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("plugins", "tests", "tools")
#: Folders whose sentences and names are checked here.
WHOLE = ("plugins", "tests", "tools")
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


#: Words in one sentence. A code span counts as one word, and so do words in brackets.
LONGEST = 25
SPAN = re.compile(r"`[^`]*`|[A-Z]*\([^)]*\)")
#: A question word is no beginning of a docstring.
QUESTION = re.compile(r"(what|whatever|which|whichever|how|however|whose)\b", re.IGNORECASE)


def passages(source: str) -> list[str]:
    """Return the paragraphs of docstrings, and the comments, those of adjacent lines as one."""
    found, last = [], (-1, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start == (last[0] + 1, last[1]):
                found[-1] += " " + token.string.lstrip("#: ")
            else:
                found.append(token.string.lstrip("#: "))
            last = token.start
    return found + [paragraph for text in docstrings(source) for paragraph in text.split("\n\n")]


def docstrings(source: str) -> list[str]:
    kinds = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


#: Variables of plugins that hold documentation in YAML.
DOCUMENTATION = ("DOCUMENTATION", "RETURN", "AFTER_KILL")
#: Keys of such documentation whose values are sentences.
SENTENCES = ("short_description", "description", "details", "notes")


def documentation(source: str) -> list[str]:
    """Return the sentences of documentation in YAML that a plugin assigns to its variables."""
    return [
        text
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and any(isinstance(name, ast.Name) and name.id in DOCUMENTATION for name in node.targets)
        for text in described(yaml.safe_load(str(node.value.value)))
    ]


def described(found: object) -> list[str]:
    """Return the texts below the keys that hold sentences, at any depth."""
    if isinstance(found, list):
        return [text for one in found for text in described(one)]
    if not isinstance(found, dict):
        return []
    return [
        " ".join(str(text).split())
        for key in SENTENCES
        if isinstance(found.get(key), (str, list))
        for text in ([found[key]] if isinstance(found[key], str) else found[key])
    ] + [text for value in found.values() for text in described(value)]


def long_sentences(texts: list[str]) -> list[str]:
    """Return the sentences with too many words. An item of a list ends its sentence."""
    sentences = [one for text in texts for one in re.split(r"(?<=[.!?;])\s+|\n- ", text)]
    return [one for one in sentences if len(SPAN.sub("x", one).split()) > LONGEST]


def names(source: str) -> list[str]:
    """Return the names of functions and classes, with blanks for underscores."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [node.name.replace("_", " ") for node in nodes]


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    # There ansible-test has its own environments.
    return [path for path in found if ROOT / "tests" / "output" not in path.parents]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files(*FOLDERS), ids=named)
def test_a_process_is_it(path: Path):
    assert persons(prose(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", files(*WHOLE), ids=named)
def test_a_process_is_it_in_names(path: Path):
    assert persons(names(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", files(*WHOLE), ids=named)
def test_sentences_are_short(path: Path):
    assert long_sentences(passages(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", files("plugins"), ids=named)
def test_sentences_of_documentation_are_short(path: Path):
    assert long_sentences(documentation(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", sorted((ROOT / "roles").glob("*/meta/*.yml")), ids=named)
def test_sentences_about_roles_are_short(path: Path):
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert long_sentences(described(found)) == []


@pytest.mark.parametrize("path", files(*WHOLE), ids=named)
def test_a_description_does_not_begin_with_a_question_word(path: Path):
    texts = docstrings(path.read_text(encoding="utf-8"))
    assert [text for text in texts if QUESTION.match(text)] == []


@pytest.mark.parametrize("name", OTHERS)
def test_a_process_is_it_in_shell_and_yaml(name: str):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert persons([line for line in lines if line.lstrip().startswith("#")]) == []


def test_a_long_sentence_of_documentation_is_found():
    source = (
        'DOCUMENTATION = r"""\nname: x\noptions:\n  y:\n    description:\n      - One.\n'
        f"      - {'word ' * LONGEST}O(more).\n"
        '    default: 1\n"""\nEXAMPLES = r"""\n- name: y\n"""\n'
    )
    assert documentation(source) == ["One.", "word " * LONGEST + "O(more)."]
    assert long_sentences(documentation(source)) == ["word " * LONGEST + "O(more)."]


def test_what_breaks_a_rule_is_found_in_each_kind_of_prose():
    lines = (
        '"""Who is it?"""',
        "# nobody knows",
        "X = 1  # but somebody",
        "def f_of_whom():",
        '    """How it asks for the user who asks."""',
        "    #" + " word" * LONGEST,
        "    # more.",
        '    return "whom"',
    )
    source = "\n".join(lines)
    assert persons(prose(source)) == ["# nobody knows", "# but somebody", "Who is it?"]
    assert persons(names(source)) == ["f of whom"]
    assert long_sentences(passages(source)) == ["word " * LONGEST + "more."]
    assert [text[:3] for text in docstrings(source) if QUESTION.match(text)] == ["How"]
