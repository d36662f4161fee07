# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each piece of the pages has a test that runs it, and each claim has a piece."""

from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tools.environment._cores import CORES
from tools.environment._tests import SUITES

from .claims import CLAIMS, block, command, idle, unclaimed
from .elsewhere import COMMANDS, arguments_for_pytest
from .pages import ROOT, pages, pieces, pieces_of
from .shell import Shell, clean_environ

# Each registers what it claims.
for _path in sorted(Path(__file__).parent.glob("test_*.py")):
    importlib.import_module(f"{__package__}.{_path.stem}")


def test_every_block_and_every_command_of_the_pages_is_run() -> None:
    """A test claims it, or it is in `elsewhere` with its reason."""
    assert unclaimed(pieces(), CLAIMS) == []


def test_every_claim_has_its_piece() -> None:
    assert idle(pieces(), CLAIMS) == []


def test_no_page_is_overlooked() -> None:
    """The control of the places where pages are looked for."""
    ours = ("tests", "changelogs", "LICENSES", ".github")
    tracked = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {path for path in tracked if not path.startswith(ours)} - {*pages()} == {
        "CODE_OF_CONDUCT.md",
        "CHANGELOG.md",
    }


_PAGE = """
Type `make tea`, or `make` alone, or `tea`:

```shell
# no command
make tea
make toast \\
  --golden
```

- In a list:

  ```ini
  [tea]
  minutes = 4
  ```
"""


def test_what_no_test_runs_is_told_with_its_place() -> None:
    """The control: a page with two commands and a block, and claims.

    One claim is missing, and one is too many.
    """
    found = pieces_of("TEA.md", _PAGE)
    assert [(piece.line, piece.text) for piece in found] == [
        (2, "make tea"),
        (6, "make tea"),
        (7, "make toast \\\n  --golden"),
        (13, "[tea]\nminutes = 4\n"),
    ]
    claims = [command("make tea"), command("--golden"), block("TEA.md", "minutes")]
    assert unclaimed(found, claims) == []
    assert idle(found, claims) == []
    assert unclaimed(found, claims[1:]) == ["TEA.md:2: make tea", "TEA.md:6: make tea"]
    assert unclaimed(found, claims[:2]) == ["TEA.md:13: [tea]"]
    assert len(idle(found, [*claims, command("make coffee")])) == 1
    assert len(idle(found, [command("make")])) == 1, "it could mean two commands"
    assert len(idle(found, [block("COFFEE.md", "minutes")])) == 1
    with pytest.raises(AssertionError, match="a fence"):
        pieces_of("TEA.md", _PAGE + "\n- ```ini\n  [milk]\n  ```\n")


@pytest.mark.parametrize("claim", COMMANDS, ids=str)
def test_what_no_test_types_is_run_elsewhere(claim) -> None:
    assert COMMANDS[claim].there, f"{COMMANDS[claim].where} has no {COMMANDS[claim].words!r}"


#: If a page has lost such a command, a test above fails.
MAKE = [
    claim
    for claim in COMMANDS
    if not idle(pieces(), [claim]) and claim.of(pieces())[0].text.startswith("make ")
]


@pytest.mark.parametrize("claim", MAKE, ids=str)
def test_a_make_command_that_no_test_types_has_a_target_and_tests(claim) -> None:
    """`make -n` has the target, core and Python are supported, and its arguments select tests."""
    text = claim.of(pieces())[0].text
    planned = Shell(ROOT, clean_environ()).type(text.replace("make", "make -n", 1))
    assert "tools.environment" in planned, planned
    words = shlex.split(planned)
    if "--core" in words:
        core = CORES[words[words.index("--core") + 1]]
        if "--python" in words:
            major, minor = words[words.index("--python") + 1].split(".")
            assert core.runs_on((int(major), int(minor))), planned
    if arguments_for_pytest(text):
        # Only the file that has them: to collect a whole suite takes as long as many a test.
        file, suite = COMMANDS[claim].where, words[words.index("tools.environment") + 1]
        assert any(Path(file).is_relative_to(folder) for folder in SUITES[suite]), planned
        collected = [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            file,
            *shlex.split(arguments_for_pytest(text)),
        ]
        done = subprocess.run(collected, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert "::test_" in done.stdout, done.stdout
