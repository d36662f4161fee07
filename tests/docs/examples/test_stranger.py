# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stranger protects a run in three minutes, with nothing but what README says.

The stranger has a new home, an empty directory and a clean environment. It reads the section from
top to bottom. It writes each block of a file into the file that the sentence above names, and types
each block of a shell.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.run.run import program
from tests.support.run.waiting import until
from tests.support.trees.triggers import CTRL_C

from .claims import Documented, block, command, runs
from .galaxy import serving
from .pages import ROOT
from .shell import Shell, clean_environ

_SECTION = "## In three minutes"

_MINUTES = 3

_GUARDS = re.compile(r"^treekill\.remote \S+ guards all tasks of run ", re.MULTILINE)

#: The variables that any login has.
_OF_A_LOGIN = ("PATH", "LANG", "LC_ALL", "TERM", "USER", "LOGNAME")


@dataclass(frozen=True)
class Step:
    """A block of the section."""

    language: str
    text: str
    #: The file that the sentence above the block names last; empty without one.
    file: str
    #: Whether the sentence above has the user press Ctrl-C.
    is_interrupted: bool


def steps() -> list[Step]:
    """Return the blocks of the section, in their order."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"{_SECTION}\n")[2]
    section = re.split(r"^## ", section, maxsplit=1, flags=re.MULTILINE)[0]
    found, before = [], ""
    for index, part in enumerate(re.split(r"^```", section, flags=re.MULTILINE)):
        if index % 2:
            language, dummy, text = part.partition("\n")
            names = re.findall(r"`([\w.]+\.(?:yml|cfg))`", before)
            found.append(Step(language, text, names[-1] if names else "", "press Ctrl-C" in before))
        before = part
    return found


class Stranger:
    """A user that has ansible-core, and has never heard of the collection."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.place = home / "new"
        self.place.mkdir()
        path = f"{Path(program('ansible')).parent}:/usr/local/bin:/usr/bin:/bin"
        login = {name: text for name, text in clean_environ().items() if name in _OF_A_LOGIN}
        places = {"HOME": str(home), "TMPDIR": str(home), "ANSIBLE_NOCOLOR": "1"}
        self._shell = Shell(self.place, {**login, **places, **environ, "PATH": path})
        #: What each command has printed, standard error included.
        self.printed: list[str] = []

    def take(self, step: Step) -> None:
        """Do what the block says."""
        if step.language in ("yaml", "ini"):
            assert step.file, f"no sentence says where this goes:\n{step.text}"
            (self.place / step.file).write_text(step.text)
        elif step.is_interrupted:
            self.printed.append(self._interrupted(step.text.strip()))
        elif step.language == "shell":
            done = self._shell.run(step.text.strip())
            assert done.returncode == 0, done.stderr
            self.printed.append(done.stdout + done.stderr)
        else:
            assert step.text.strip() in self.printed[-1], self.printed[-1]

    def _interrupted(self, text: str) -> str:
        """Run the command, interrupt it as Ctrl-C does when its task runs, and return its output.

        No process of the task is alive then.
        """
        printed = self.place / "printed"
        with printed.open("w") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-c", text],
                cwd=self.place,
                env=dict(self._shell.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until(self._sleeps, 120, printed.read_text)
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) == CTRL_C.status, printed.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert not self._sleeps(), printed.read_text()
        return printed.read_text()

    def _sleeps(self) -> list[int]:
        """Return the processes of the task, by their command and the home of the stranger."""
        home, found = f"HOME={self._shell.environ['HOME']}".encode(), []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "cmdline").read_bytes().split(b"\0")[:2] == [b"sleep", b"1001"] and (
                    home in (path / "environ").read_bytes().split(b"\0")
                ):
                    found.append(int(path.name))
        return found


_CLAIMS = (
    block("README.md", "- name: treekill.remote"),
    block("README.md", "ansible.builtin.command: sleep 1001"),
    block("README.md", "1 host: 1 ended clean"),
    command("ansible-galaxy collection install -r requirements.yml"),
    command("ansible-playbook -v try.yml"),
    command("TREEKILL_TRACK=none ansible-playbook"),
)


@runs(*_CLAIMS)
def test_a_stranger_protects_a_run_in_three_minutes(tmp_path: Path, documented: Documented) -> None:
    assert [*documented], "the section has each of them"
    began = time.monotonic()
    with serving() as galaxy:
        stranger = Stranger(tmp_path, **galaxy.environ)
        for step in steps():
            stranger.take(step)
    took = time.monotonic() - began
    dummy, tried, off = stranger.printed
    assert _GUARDS.search(tried), tried
    assert tried.rstrip().endswith("1 host: 1 ended clean"), tried
    assert not _GUARDS.search(off), off
    assert took < _MINUTES * 60, f"{took:.0f} s"


def test_the_control_without_the_line_of_readme_nothing_guards_the_run(tmp_path: Path) -> None:
    """Without its own file, a step is not taken. The run here does nothing on the host."""
    with serving() as galaxy:
        stranger = Stranger(tmp_path, **galaxy.environ)
        for step in steps():
            if step.language not in ("ini", "text") and not step.is_interrupted:
                stranger.take(step)
    assert not _GUARDS.search(stranger.printed[-1]), stranger.printed[-1]


def test_the_version_that_readme_pins_is_the_one_of_this_release() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    pins = [step.text for step in steps() if step.file == "requirements.yml"]
    major = int(version.partition(".")[0])
    assert f'"<{major + 1}.0.0"'.strip('"') in pins[0], (version, pins)


def test_the_figures_of_readme_are_those_of_the_page_of_figures() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"(\d+) short tasks over ssh took (\S+) s instead of (\S+) s", readme)
    assert found
    figures = (ROOT / "docs/figures.md").read_text(encoding="utf-8")
    row = next(
        line
        for line in figures.splitlines()
        if f"a loop of {found[1]} " in line and "`supervise` on" in line
    )
    assert f"| {found[2]} s |" in row, row
    assert f"without the callback: {found[3]} s |" in row, row


@runs(command("git clone https://github.com/treekill/remote.git"), command("cd remote"))
def test_the_repository_is_cloned_before_make_is_typed(
    tmp_path: Path, documented: Documented
) -> None:
    """The real git, with this clone in the place of the address."""
    clone, enter = documented
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    environ = {
        **clean_environ(),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/treekill/remote.git",
    }
    there = Shell(tmp_path, environ).type(f"{clone}\n{enter}\ngrep '^demo:' Makefile")
    assert "two throw-away hosts" in there
