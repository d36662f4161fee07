# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation site.

antsibull-docs writes the pages of plugins and roles. Sphinx makes HTML of these and of the pages in
Markdown.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Sequence

from ._commands import SetupError, run
from ._lint_setup import Workshop
from ._paths import CACHE, IMPORTABLE, NAME, NAMESPACE, ROOT, SITE
from ._setup import Ready

MARKDOWN = ("*.md", "docs/*.md", "docs/guides/*.md")

#: Folders of plugins: an action is described by the module of its name.
WITHOUT_PAGE = ("action", "doc_fragments", "module_utils", "plugin_utils")


def write_options_page(ready: Ready) -> None:
    """Write the tables of docs/options.md, in the tree itself."""
    run(
        [ready.venv.python, "-m", "tools.options_page"],
        cwd=ROOT,
        env=ready.venv.environment(PYTHONPATH=str(IMPORTABLE)),
    )


def publish(workshop: Workshop) -> Path:
    """Build the site in place of the one that is there, and return its first page.

    If it can't be built, the old one stays as it is.
    """
    with tempfile.TemporaryDirectory(dir=str(CACHE)) as place:
        site = build(workshop, Path(place))
        shutil.rmtree(str(SITE), ignore_errors=True)
        site.rename(SITE)
    return SITE / "index.html"


def check(workshop: Workshop) -> Sequence[str]:
    """Check that the whole site is built without a warning.

    Small sites with bad links must be refused.
    """
    run(
        [workshop.lint.python, "-m", "pytest", "-q", "tests/docs/docsite"],
        cwd=ROOT,
        env=workshop.lint.environment(),
    )
    with tempfile.TemporaryDirectory(dir=str(CACHE)) as place:
        build(workshop, Path(place))
    return ()


def build(workshop: Workshop, place: Path) -> Path:
    """Return the folder of HTML below an empty one.

    Raises SetupError for any warning, and for any page that should be there and is not.
    """
    pages, site = place / "pages", place / "site"
    # antsibull-docs refuses a folder that others can write.
    pages.mkdir(mode=0o700)
    options = ("--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", pages)
    run(
        [workshop.lint.program("antsibull-docs"), "collection", *options, f"{NAMESPACE}.{NAME}"],
        cwd=place,
        env=workshop.environment(workshop.collections),
    )
    for page in [*markdown_pages(workshop.copy), *pictures(workshop.copy)]:
        (pages / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(workshop.copy / page), str(pages / page))
    strict = ("--fail-on-warning", "--keep-going", "--quiet")
    command = [
        workshop.lint.python,
        "-m",
        "sphinx",
        "--builder",
        "html",
        *strict,
        "--conf-dir",
        workshop.copy / "tools" / "docsite",
    ]
    run(
        [*command, "--doctree-dir", place / "doctrees", pages, site],
        cwd=place,
        env=workshop.environment(workshop.collections),
    )
    missing = [
        page for page in wanted_pages(workshop.copy) if not (site / f"{page}.html").is_file()
    ]
    if missing:
        raise SetupError(f"no page of the site was made for: {', '.join(missing)}")
    return site


def markdown_pages(tree: Path) -> Sequence[str]:
    """Return the paths of the pages that are written by hand."""
    return [
        str(path.relative_to(tree)) for pattern in MARKDOWN for path in sorted(tree.glob(pattern))
    ]


def pictures(tree: Path) -> Sequence[str]:
    """Return the paths of the pictures of these pages."""
    return [str(path.relative_to(tree)) for path in sorted(tree.glob("docs/*.svg"))]


def wanted_pages(tree: Path) -> Sequence[str]:
    """Return the names of all pages that have to be there.

    They are taken from the files of the tree alone, so that pages that antsibull-docs and Sphinx
    overlook are noticed.
    """
    plugins = [
        path
        for path in sorted(tree.glob("plugins/*/[!_]*.py"))
        if path.parent.name not in WITHOUT_PAGE
    ]
    of_plugins = [
        f"{path.stem}_{'module' if path.parent.name == 'modules' else path.parent.name}"
        for path in plugins
    ]
    of_roles = [f"{path.name}_role" for path in sorted(tree.glob("roles/[!_]*"))]
    by_hand = [page[: -len(".md")] for page in markdown_pages(tree)]
    if not (of_plugins and of_roles and by_hand):
        raise SetupError(f"{tree} has no plugins, no roles or no pages: nothing to look at")
    return ["index", *of_plugins, *of_roles, *by_hand]
