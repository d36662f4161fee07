# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages are written in short sentences, and call a process "it"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.coverage.supported import BEGIN as SUPPORTED
from tests.support.coverage.supported import END as SUPPORTED_END
from tools.environment._paths import ROOT
from tools.options_page.__main__ import BEGIN as OPTIONS

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += [ROOT / "tests" / "README.md", ROOT / "tests" / "support" / "hosts" / "README.md"]
PAGES += sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "roles").glob("*/README.md")])

#: Words in one sentence. A code span counts as one word, a link as the words of its text.
LONGEST = 25

#: Words for persons, which the pages use for neither processes nor hosts.
PERSONS = re.compile(
    r"\b(nobody|somebody|anybody|everybody|whoever|whom|whomever)\b", re.IGNORECASE
)

_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`[^`]+`")
_ITEM = re.compile(r"^ *(- |\d+\. )")
_END = re.compile(r"(?<=[.!?])[)*\"]*\s+")


def by_hand(text: str) -> str:
    """Return a page without its generated part and without code."""
    text = text.partition(OPTIONS)[0]
    text = re.sub(f"{re.escape(SUPPORTED)}.*{re.escape(SUPPORTED_END)}", "", text, flags=re.DOTALL)
    text = _COMMENT.sub("", _FENCE.sub("\n", text))
    return _CODE.sub("code", _LINK.sub(r"\1", _IMAGE.sub("", text)))


def sentences(text: str) -> list[str]:
    """Return the sentences of a page, without headings.

    An item of a list and a cell of a table end theirs; a colon or a semicolon does not.
    """
    paragraphs = [""]
    for line in by_hand(text).splitlines():
        if line.startswith("|"):
            paragraphs += [*line.strip("|").split(" | "), ""]
        elif not line.strip() or line.startswith("#"):
            paragraphs.append("")
        elif _ITEM.match(line):
            paragraphs.append(_ITEM.sub("", line))
        else:
            paragraphs[-1] += " " + line
    return [
        sentence.strip()
        for paragraph in paragraphs
        for sentence in _END.split(paragraph)
        if sentence.strip()
    ]


def words(sentence: str) -> int:
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())


def long_sentences(text: str) -> list[str]:
    return [sentence for sentence in sentences(text) if words(sentence) > LONGEST]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_long_sentence(page) -> None:
    assert long_sentences(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_word_for_a_person_in_the_place_of_a_process(page) -> None:
    assert [
        line
        for line in by_hand(page.read_text(encoding="utf-8")).splitlines()
        if PERSONS.search(line)
    ] == []


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

#: Folders of the files that the architecture page names.
PLACES = [ROOT, ROOT / "plugins" / "plugin_utils", ROOT / "plugins" / "module_utils"]


def files_named(name: str) -> list[Path]:
    return [place / name for place in PLACES if (place / name).is_file()]


def definitions_named(text: str) -> Iterator[tuple[str, str]]:
    """Return the file and the name of each function and class that a page names with its file."""
    for name, more in re.findall(r"`([\w/]+\.py)`\s\(((?:`[\w.]+`(?:,\s)?)+)\)", text):
        yield from ((name, one) for one in re.findall(r"`([\w.]+)`", more))
    for one, name in re.findall(r"\(`([\w.]+)`\sin\s`([\w/]+\.py)`", text):
        yield name, one


def defines(source: str, name: str) -> bool:
    """Whether a source defines a function or a class, `Class.method` for one method of a class."""
    parent, dummy, last = name.rpartition(".")
    kinds = (ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    if parent:
        nodes = [one for node in nodes if node.name == parent for one in node.body]  # type: ignore[misc]
    return any(isinstance(node, kinds) and node.name == last for node in nodes)


def test_the_files_that_the_architecture_page_names_exist() -> None:
    named = re.findall(r"`([\w/]+\.(?:py|sh))`", ARCHITECTURE)
    assert [name for name in named if not files_named(name)] == []
    assert len(named) > 40


def test_the_functions_and_classes_that_the_architecture_page_names_exist() -> None:
    named = list(definitions_named(ARCHITECTURE))
    assert [
        (name, one)
        for name, one in named
        if not any(defines(path.read_text(encoding="utf-8"), one) for path in files_named(name))
    ] == []
    assert len(named) >= 10


def test_a_function_and_a_method_that_a_page_names_are_found() -> None:
    text = "`a.py` (`f`, `C.g`) and (`h` in\n`b/c.py`), of `j` in `e.py`, `d.py` (not `i`)"
    assert list(definitions_named(text)) == [("a.py", "f"), ("a.py", "C.g"), ("b/c.py", "h")]
    source = "class C:\n    def g(self): ...\ndef f(): ...\n"
    assert defines(source, "f")
    assert defines(source, "C.g")
    assert not defines(source, "C.f")
    assert not defines(source, "h")


@pytest.mark.parametrize(
    ("page", "least"),
    [("README.md", 5), ("CONTRIBUTING.md", 15), ("tests/README.md", 0)],
)
def test_the_files_that_a_page_names_exist(page: str, least: int) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = re.findall(r"github\.com/treekill/remote/blob/main/([\w./-]+)", text)
    named = re.findall(r"`([\w./-]+\.(?:py|sh|yml|toml))`", text)
    # A reader writes these files.
    written = re.findall(r"Write this into\s`([\w.]+)`", text)
    named = [name for name in named if name not in written]
    folders = ("plugins", "tests", "tools", "docs", "extensions")
    found = {path.name for folder in folders for path in (ROOT / folder).rglob("*.*")}
    assert [name for name in linked if not (ROOT / name).is_file()] == []
    # A page may name a file alone, where it names its folder before.
    assert [name for name in named if not (ROOT / name).is_file() and name not in found] == []
    assert len(linked + named) >= least


_PAGE = f"""# A heading that is no sentence {"and goes on " * LONGEST}

One `code span of several words` and [two words](https://example.com/) here. It
ends here! Does it (it does.) *Yes.* Version 2.21.5 is no end.

| a cell | {"word " * LONGEST}. Another |
|---|---|

- An item without a full stop
- {"word " * LONGEST}
1. {"long " * (LONGEST + 1)}

```shell
{"code " * (LONGEST + 1)}
```
"""


def test_sentences_are_told_apart() -> None:
    """The control."""
    found = [sentence for sentence in sentences(_PAGE) if words(sentence)]
    assert found[:6] == [
        "One code and two words here.",
        "It ends here!",
        "Does it (it does.",
        "*Yes.",
        "Version 2.21.5 is no end.",
        "a cell",
    ]
    assert [words(sentence) for sentence in found[6:]] == [LONGEST, 1, 6, LONGEST, LONGEST + 1]
    assert len(long_sentences(_PAGE)) == 1
    assert PERSONS.search("Nobody reads it.")
    assert not PERSONS.search("The body reads it.")
