# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the Makefile, typed as they stand in a fresh clone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.trees.table import rest
from tools.environment import _sources
from tools.environment._gates import GATES
from tools.environment._paths import VENVS

from .claims import Documented, block, command, runs
from .clone import clone, need_the_core_of_make, need_the_linters
from .output import assert_printed
from .pages import ROOT
from .shell import Shell, with_ansible
from .test_installing import knows_the_callback


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A shell that the tests share. It is for the newest core that runs here."""
    need_the_core_of_make()
    need_the_linters()
    with clone() as shell:
        yield shell


def last_line(text: str) -> str:
    return text.splitlines()[-1]


@runs(command("make build"), command("ansible-galaxy collection install"), command("make install"))
def test_what_make_builds_can_be_installed(
    shell: Shell, tmp_path: Path, documented: Documented
) -> None:
    """The documented command does it with the path from `make build`, or `make install` does it.

    The control: before that, Ansible does not find the callback.
    """
    build, install, both = documented
    user = with_ansible(tmp_path)
    tarball = last_line(shell.type(build))
    assert not knows_the_callback(user)
    assert "treekill.remote:" in user.type(f"{install} {tarball}")
    assert knows_the_callback(user)
    other = with_ansible(tmp_path / "other")
    other.environ = {**other.environ, "ANSIBLE_COLLECTIONS_PATH": last_line(shell.type(both))}
    assert knows_the_callback(other)


@runs(command('make unit PYTEST_ARGS="-k cookie"'))
def test_make_unit_runs_the_tests_that_its_arguments_select(
    shell: Shell, documented: Documented
) -> None:
    (unit,) = documented
    assert re.search(r"[1-9]\d* passed, \d+ deselected", shell.type(unit, 300))


@runs(command("make timing"))
def test_make_timing_measures(shell: Shell, documented: Documented) -> None:
    (timing,) = documented
    assert re.search(r"[1-9]\d* passed", shell.type(timing, 600))


@runs(command("make lint-list"), command("make lint-ruff"), command("make format"))
def test_one_gate_alone_and_what_mends_it(shell: Shell, documented: Documented) -> None:
    """The control: a file with a bad layout does not pass, and is mended."""
    names, gate, mend = documented
    assert [line.split()[0] for line in shell.type(names).splitlines()] == [*GATES]
    assert "lint: 1 gates" in shell.type(gate)
    file = shell.directory / "tests/docs/examples/pages.py"
    before = file.read_text()
    file.write_text(before.replace("import re\n", "import re, os\n"))
    done = shell.run(gate)
    assert done.returncode != 0, done.stdout
    assert "FAILED  ruff" in done.stdout, done.stdout
    shell.type(mend)
    assert file.read_text() == before


@rest
@runs(command("make demo"), block("README.md", "Alive after Ctrl-C"))
def test_make_demo_prints_what_the_readme_shows(shell: Shell, documented: Documented) -> None:
    demo, shown = documented
    assert_printed(shown, shell.type(demo, 300))


@rest
@runs(command("make screenshot"))
def test_make_screenshot_takes_the_picture_anew(shell: Shell, documented: Documented) -> None:
    (screenshot,) = documented
    picture = shell.directory / "docs/recap.svg"
    picture.unlink()
    assert last_line(shell.type(screenshot, 300)) == str(picture)
    assert "TREEKILL" in picture.read_text()
    assert "docs/recap.svg" in (ROOT / "README.md").read_text()


@rest
@runs(command("make changelog"))
def test_make_changelog_writes_what_the_fragments_say_and_uses_them_up(
    shell: Shell, documented: Documented
) -> None:
    (changelog,) = documented
    fragment, written = (
        shell.directory / "changelogs/fragments/example.yml",
        shell.directory / "CHANGELOG.md",
    )
    fragment.write_text("---\nbugfixes:\n  - example - it was made for a test.\n")
    shell.type(changelog, 300)
    assert "it was made for a test" in written.read_text()
    assert not fragment.exists()


@runs(command("make clean"))
def test_make_clean_removes_what_the_others_have_made_and_nothing_else(
    shell: Shell, documented: Documented
) -> None:
    """The last test here. What a link leads to is not touched."""
    (clean,) = documented
    if not (shell.directory / ".cache").exists():
        shell.type("make install")
    shell.type(clean)
    assert {path.name for path in shell.directory.iterdir()} == {
        Path(name).parts[0] for name in _sources.source_files()
    } | {".git"}
    assert (VENVS / "lint/complete").exists()
