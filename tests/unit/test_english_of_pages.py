# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages are written in short sentences, and call a process "it"."""

from __future__ import annotations

import re

import pytest

from tests.support.coverage.supported import BEGIN as SUPPORTED
from tests.support.coverage.supported import END as SUPPORTED_END
from tools.environment._paths import ROOT
from tools.options_page.__main__ import BEGIN as OPTIONS

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
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


def test_the_files_that_the_architecture_page_names_exist() -> None:
    named = re.findall(
        r"`([\w/]+\.(?:py|sh))`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    )
    places = [ROOT, ROOT / "plugins" / "plugin_utils", ROOT / "plugins" / "module_utils"]
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []
    assert len(named) > 40


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
