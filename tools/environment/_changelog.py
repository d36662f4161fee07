# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changelog.

It makes an entry for the version in galaxy.yml from the fragments, and checks that there is one.
"""

from __future__ import annotations

import re
import shutil
from typing import Sequence

from ._commands import SetupError, run
from ._lint_setup import Workshop
from ._paths import CACHE, IN_COLLECTIONS, ROOT
from ._sources import copy_sources, make_repository, source_files

#: antsibull-changelog asks ansible-doc for new plugins, which wants the collection in a folder for
#: collections.
COLLECTIONS = CACHE / "changelog"
COPY = COLLECTIONS / IN_COLLECTIONS

WRITTEN = ("CHANGELOG.md", "changelogs/changelog.yaml")


def version() -> str:
    """Return the version in galaxy.yml."""
    found = re.search(
        r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    if found is None:
        raise SetupError("galaxy.yml names no version")
    return found.group(1)


def has_entry(changelog: str, wanted: str) -> bool:
    """Whether the text of changelog.yaml has an entry for that version."""
    return re.search(rf"^  '?{re.escape(wanted)}'?:$", changelog, re.MULTILINE) is not None


def check(workshop: Workshop) -> Sequence[str]:
    """Check that the fragments and the changelog's own file are well made.

    The version in galaxy.yml must have an entry.
    """
    run(
        [workshop.lint.program("antsibull-changelog"), "lint"],
        cwd=workshop.copy,
        env=workshop.environment(workshop.collections),
    )
    if not has_entry(
        (workshop.copy / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"), version()
    ):
        raise SetupError(
            f"changelogs/changelog.yaml has no entry for {version()}, the version in galaxy.yml: "
            "`make changelog` writes it"
        )
    return ()


def write(workshop: Workshop) -> None:
    """Write the entry from the fragments, and remove them.

    If the version has an entry already, the new fragments are added to it.
    """
    copy_sources(source_files(), COPY)
    make_repository(COPY)
    known = has_entry(
        (COPY / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"), version()
    )
    words = ["release", *(["--update-existing"] if known else [])]
    print(
        run(
            [workshop.lint.program("antsibull-changelog"), *words],
            cwd=COPY,
            env=workshop.environment(COLLECTIONS),
        ),
        end="",
    )
    for name in WRITTEN:
        shutil.copyfile(str(COPY / name), str(ROOT / name))
    for fragment in (ROOT / "changelogs" / "fragments").glob("*.yml"):
        if not (COPY / fragment.relative_to(ROOT)).exists():
            fragment.unlink()
