# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real ansible-playbook: started, interrupted and waited for.

No process of it is left when the block ends.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import Lab

from . import controller, play
from .play import Setting
from .terminal import Terminal, default_signals


class NoCollection(Exception):
    """Error of an environment without Ansible or without the installed collection."""


@dataclass
class Run:
    """One ansible-playbook, running or ended."""

    row: str  #: mark of its processes here, and of those of its tree on the hosts
    directory: Path  #: its configuration, its temporary files, its output
    setting: Setting
    process: subprocess.Popen[
        bytes
    ]  #: the main process; on a terminal, the shell that waits for it
    terminal: Terminal | None = None

    @property
    def output(self) -> str:
        """Return what it wrote to standard output; on a terminal, what both streams wrote."""
        return (self.directory / "stdout").read_text(errors="replace")

    @property
    def errors(self) -> str:
        """Return what it wrote to standard error; on a terminal, what both streams wrote."""
        return (
            self.output
            if self.terminal
            else (self.directory / "stderr").read_text(errors="replace")
        )

    @property
    def story(self) -> str:
        """The end of its output, for a message."""
        streams = [self.output] if self.terminal else [self.output, self.errors]
        return (
            f"ansible-playbook of row {self.row} (exit status {self.process.poll()}) printed:\n"
            + "\n".join(stream[-12000:] for stream in streams)
        )

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C: the terminal sends SIGINT to its foreground process group."""
        assert self.terminal is not None
        self.terminal.write(b"\x03")

    def kill_group(self) -> None:
        """Send SIGKILL to the process group of the main process."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def kill_worker(self, address: str) -> None:
        """Send SIGKILL to the worker alone that serves the host with this address."""
        controller.worker_of(self.row, self.process.pid, address).kill()

    def wait(self, seconds: float) -> int | None:
        """Return its exit status, negative for a signal.

        It is None if the run lasted longer than so many seconds.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


@contextmanager
def started(
    lab: Lab,
    setting: Setting,
    *,
    collection: bool,
    terminal: bool = False,
    before: Sequence[str] = (),
    script: Callable[[str], str] | None = None,
) -> Iterator[Run]:
    """Start a run with the nasty tree.

    At the end of the block, what is left of it here is killed. `before`: words before
    `ansible-playbook`: a program that does its work and then runs it. `script`: function that
    returns the script of the one task from the row that marks it.
    """
    with kept(
        lambda row, directory: _start(
            row, directory, lab, setting, collection, before, terminal, script
        )
    ) as run:
        yield run


@contextmanager
def kept(start: Callable[[str, Path], Run], parent: str = "/tmp") -> Iterator[Run]:
    """Start a run from its mark and a directory of its own below `parent`.

    At the end of the block, what is left of it here is killed and removed.
    """
    row = f"r{secrets.token_hex(4)}"
    # Not pytest's own directory for temporary files: its path is too long for the sockets that ssh
    # makes below it.
    directory = Path(tempfile.mkdtemp(prefix="tk-", dir=parent))
    try:
        run = start(row, directory)
        try:
            yield run
        finally:
            controller.end(row, directory)
            run.process.wait()
            if run.terminal is not None:
                run.terminal.close()
    finally:
        shutil.rmtree(directory)


def _start(
    row: str,
    directory: Path,
    lab: Lab,
    setting: Setting,
    collection: bool,
    before: Sequence[str],
    terminal: bool,
    script: Callable[[str], str] | None,
) -> Run:
    if script is None:
        play.write(directory, row, lab, setting, collection=collection)
    else:
        play.write_scripted(directory, row, lab, setting, script(row), collection=collection)
    environ = environ_of(row, directory, collection=collection)
    argv = [
        *before,
        *(
            setting.front.start(directory, environ)
            if setting.front
            else [program("ansible-playbook"), str(directory / "playbook.yml")]
        ),
    ]
    if setting.connection in (play.PARAMIKO, play.BUILTIN_PARAMIKO):
        environ["HOME"] = str(directory)
    return launch(row, directory, setting, argv, environ, terminal=terminal)


def launch(
    row: str,
    directory: Path,
    setting: Setting,
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    terminal: bool,
) -> Run:
    """Start it in its directory, in a session of its own.

    Its output is written to the files `stdout` and `stderr` there.
    """
    if terminal:
        screen = Terminal(directory / "stdout")
        return Run(row, directory, setting, screen.start(argv, environ, directory), screen)
    with open(directory / "stdout", "wb") as stdout, open(directory / "stderr", "wb") as stderr:
        process = subprocess.Popen(
            argv,
            env=environ,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=default_signals,
        )
    return Run(row, directory, setting, process)


def program(name: str) -> str:
    """Return the path of a program of the ansible-core that the tests run in."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise NoCollection(
            f"{name} is neither beside {sys.executable} nor on PATH: run this by `make integration`"
        )
    return found


def environ_of(row: str, directory: Path, *, collection: bool) -> dict[str, str]:
    """Return the environment of a run.

    It has the run's mark, its directory for all temporary files, and the installed collection or
    none.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "TREEKILL"))
    }
    # The tests have to see that the guardian's directory is gone. So it is made in the run's own
    # directory for temporary files.
    environ.pop("XDG_RUNTIME_DIR", None)
    # Users have it buffered, and each fork carries a copy of what is in the buffer.
    environ.pop("PYTHONUNBUFFERED", None)
    environ.update(
        {
            controller.MARK: row,
            "TMPDIR": str(directory),
            "ANSIBLE_HOME": str(directory / "home"),
            "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
    )
    if collection:
        place = os.environ.get("ANSIBLE_COLLECTIONS_PATH")
        if not place:
            raise NoCollection(
                "ANSIBLE_COLLECTIONS_PATH is not set: run this by `make integration`, which "
                "installs the collection and sets it"
            )
        environ["ANSIBLE_COLLECTIONS_PATH"] = place
    return environ
