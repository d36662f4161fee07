# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs with plays that run on this machine itself, started for a test.

All that they have started is gone with the test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .run_factory import PLACES

MARK = "TK_TEST_OF"

CALLBACK = "treekill.remote.guardian"


class RunningProgram:
    """A running program. What it and its children write is in one file."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, mark: str) -> None:
        self.process = process
        self.directory = directory
        self._mark = f"{MARK}={mark}".encode()

    @property
    def told(self) -> str:
        return (self.directory / "told").read_text()

    def flat(self) -> str:
        """Return what it has written, with the lines of long warnings joined."""
        return " ".join(self.told.split())

    def until(self, look: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, self.told
            time.sleep(0.02)

    def until_told(self, text: str, times: int = 1) -> None:
        self.until(lambda: self.told.count(text) >= times)

    def carriers(self) -> dict[int, list[str]]:
        """Return the command line of each process of this program, found by its environment."""
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if self._mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    found[int(name)] = (
                        Path(f"/proc/{name}/cmdline")
                        .read_bytes()
                        .decode(errors="replace")
                        .split("\0")[:-1]
                    )
        return found

    def running(self, *command: str) -> list[int]:
        """Return the pids of its processes that have this command line."""
        return [pid for pid, words in self.carriers().items() if words == [*command]]

    def children(self) -> list[int]:
        """Return the pids of the children of its main process."""
        return [
            int(pid)
            for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            .read_text()
            .split()
        ]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on\n{self.told}") from None


@contextlib.contextmanager
def start_program(
    directory: Path,
    arguments: Sequence[str],
    callback: bool = True,
    plugins: dict[str, str] | None = None,
    terminal: int | None = None,
    **environ: str,
) -> Iterator[RunningProgram]:
    """Start a Python program in `directory`, with callback plugins beside ours.

    `terminal` gets its output, if there is one.
    """
    names = [*([CALLBACK] if callback else []), *(plugins or {})]
    (directory / "callback_plugins").mkdir(exist_ok=True)
    for name, text in (plugins or {}).items():
        (directory / "callback_plugins" / f"{name}.py").write_text(text)
    enabled = f"callbacks_enabled = {','.join(names)}\n" if names else ""
    (directory / "ansible.cfg").write_text(
        f"[defaults]\ncallback_plugins = callback_plugins\n{enabled}"
    )
    mark = uuid.uuid4().hex
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TREEKILL", "ANSIBLE_", "XDG_RUNTIME_DIR"))
    }
    places = {
        "PYTHONPATH": PLACES,
        "TMPDIR": str(directory),
        "HOME": str(directory),
        "ANSIBLE_HOME": str(directory / "home"),
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
    ansible = {
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    environment = {**clean, **places, **ansible, MARK: mark, **environ}
    with (directory / "told").open("wb") as told:
        words = [sys.executable, *arguments]
        process = subprocess.Popen(
            words,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=told if terminal is None else terminal,
            stderr=told if terminal is None else terminal,
            start_new_session=True,
            env=environment,
        )
    program = RunningProgram(process, directory, mark)
    try:
        yield program
    finally:
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while left := program.carriers():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, left
            time.sleep(0.02)


def start_library_program(
    directory: Path, script: str, *, callback: bool = True, plugins: dict[str, str] | None = None
) -> contextlib.AbstractContextManager[RunningProgram]:
    """Return a program that uses Ansible as a library."""
    return start_program(
        directory, [str(Path(__file__).with_name("library_program.py")), script], callback, plugins
    )


def start_playbook_program(
    directory: Path,
    text: str,
    *,
    plugins: dict[str, str] | None = None,
    terminal: int | None = None,
    **environ: str,
) -> contextlib.AbstractContextManager[RunningProgram]:
    """`ansible-playbook` with this playbook."""
    (directory / "play.yml").write_text(text)
    return start_program(
        directory,
        ["-m", "ansible.cli.playbook", "-i", "here,", "-c", "local", "play.yml"],
        plugins=plugins,
        terminal=terminal,
        **environ,
    )
