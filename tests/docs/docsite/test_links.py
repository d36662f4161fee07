# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links of the documentation site: a link that leads nowhere fails the build of the site.

The other links lead to pages of it. The gate `docsite` runs this, with its own Sphinx.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.docsite.links import INDEX, ON_GITHUB, RAW_ON_GITHUB, ROOT

CONF = ROOT / "tools" / "docsite"

#: Links in docs/how_it_kills.md, and what Sphinx makes of them.
GOOD = {
    "[x](limits.md)": 'href="limits.html"',
    "[x](limits.md#in-time)": 'href="limits.html#in-time"',
    f"[x]({ON_GITHUB}docs/limits.md)": 'href="limits.html"',
    f"[x]({ON_GITHUB}docs/limits.md#in-time)": 'href="limits.html#in-time"',
    f"[x]({ON_GITHUB}plugins/connection/ssh.py)": 'href="../ssh_connection.html"',
    f"[x]({ON_GITHUB}galaxy.yml)": f'href="{ON_GITHUB}galaxy.yml"',
    f"![x]({RAW_ON_GITHUB}docs/recap.svg)": 'src="../_images/recap.svg"',
}

BAD = (
    "[x](no_such.md)",
    "[x](limits.md#in-space)",
    "[x](#nowhere)",
    f"[x]({ON_GITHUB}docs/no_such.md)",
    f"[x]({ON_GITHUB}docs/limits.md#in-space)",
    f"[x]({ON_GITHUB}no_such.yml)",
    f"![x]({RAW_ON_GITHUB}docs/no_such.svg)",
)

#: All of these are files of the repository as well.
PAGES = {
    "index.rst": (
        "First\n=====\n\n.. contents::\n   :local:\n\n"
        f"Pages\n-----\n\n.. toctree::\n    :maxdepth: 1\n\n    {INDEX}\n\n"
        ".. toctree::\n    :maxdepth: 1\n    :hidden:\n\n    ssh_connection\n"
    ),
    "ssh_connection.rst": ".. _ansible_collections.treekill.remote.ssh_connection:\n\nssh\n===\n",
    f"{INDEX}.rst": (
        f"Pages\n=====\n\nTo know it\n----------\n\n"
        f"* `How <{ON_GITHUB}docs/how_it_kills.md>`__\n"
        f"* `Limits <{ON_GITHUB}docs/limits.md>`__\n"
    ),
    "docs/limits.md": "# Limits\n\n## In time\n\nText.\n",
    "docs/recap.svg": (ROOT / "docs/recap.svg").read_text(),
}


@dataclass(frozen=True)
class Built:
    """A small site, and the output of Sphinx about it."""

    place: Path
    status: int
    said: str

    def of(self, link: str) -> str:
        """Return the output about a link in docs/how_it_kills.md."""
        number = (self.place / "pages/docs/how_it_kills.md").read_text().splitlines().index(
            link
        ) + 1
        return "\n".join(
            line for line in self.said.splitlines() if f"how_it_kills.md:{number}: WARNING" in line
        )


def build(place: Path, links: Iterable[str], more: Mapping[str, str]) -> Built:
    paragraphs = "\n\n".join(links)
    for name, text in {**PAGES, "docs/how_it_kills.md": f"# How\n\n{paragraphs}\n", **more}.items():
        (place / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "pages" / name).write_text(text)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-q",
        "-c",
        CONF,
        "-d",
        place / "doctrees",
        place / "pages",
        place / "html",
    ]
    done = subprocess.run(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Built(place, done.returncode, done.stdout)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("good"), GOOD, {})


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Built:
    option = f"{PAGES['ssh_connection.rst']}\n:ansopt:`treekill.remote.ssh#connection:nothing`\n"
    return build(
        tmp_path_factory.mktemp("bad"),
        BAD,
        {"docs/security.md": "# Security\n", "ssh_connection.rst": option},
    )


def test_a_site_without_a_bad_link_is_built(good: Built) -> None:
    assert (good.status, good.said) == (0, "")


@pytest.mark.parametrize(("link", "leads_to"), GOOD.items())
def test_a_link_leads_to_a_page_of_the_site_where_there_is_one(
    link: str, leads_to: str, good: Built
) -> None:
    page = (good.place / "html/docs/how_it_kills.html").read_text()
    assert page.count(leads_to) >= sum(other == leads_to for other in GOOD.values())


def test_the_navigation_has_the_headings_of_the_index_and_names_of_plugins(good: Built) -> None:
    page = (good.place / "html/docs/how_it_kills.html").read_text()
    assert re.findall(r'<span class="caption-text">([^<]+)</span>', page) == [
        "To know it",
        "Connections",
    ]
    assert re.search(r'href="\.\./ssh_connection\.html">ssh</a>', page)
    assert "contents" not in (good.place / "html/index.html").read_text().split("<article")[1]


def test_a_bad_link_fails_the_build(bad: Built) -> None:
    assert bad.status == 1


@pytest.mark.parametrize("link", BAD)
def test_each_bad_link_is_named_with_its_line(link: str, bad: Built) -> None:
    assert re.search("no_such|in-space|nowhere", bad.of(link)), bad.said


def test_a_page_that_the_index_does_not_link_to_is_an_error(bad: Built) -> None:
    assert "security.md: WARNING: document isn't included in any toctree" in bad.said


def test_a_reference_to_an_option_that_is_not_there_is_an_error(bad: Built) -> None:
    assert re.search(r"ssh_connection\.rst:\d+: WARNING: undefined label", bad.said)
