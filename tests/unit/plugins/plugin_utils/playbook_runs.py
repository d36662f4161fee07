# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real runs of `ansible-playbook` on this machine, over connections that run here.

Each has a directory of its own. No process or file of a run is left after its test.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .run_factory import COLLECTIONS, PLACES

#: Seconds until a task runs, or a run has ended, on a busy machine.
PATIENCE = 180.0


@dataclass
class PlaybookRun:
    """A run that goes on."""

    directory: Path
    mark: str  #: in the environment of all that the run has started
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """Return the text of both streams."""
        return (self.directory / "said").read_text(errors="replace")

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"it has ended: {self.said}"
            assert time.monotonic() < deadline, f"it did not come to that: {self.said}"
            time.sleep(0.02)

    def wait_for_words(self, *words: str) -> int:
        """Return the pid of a process of the run with these words, once it is there."""
        found: list[int] = []
        self.wait_for(
            lambda: (
                found.extend(pid for pid in self.pids() if _words(pid)[: len(words)] == [*words])
                or found
            )
        )
        return found[0]

    def interrupt(self, number: int = signal.SIGINT) -> str:
        """Interrupt it, and return its output when it has ended of the signal."""
        self.process.send_signal(number)
        return self.finished()

    def finished(self) -> str:
        """Return its output when it has ended."""
        self.process.wait(PATIENCE)
        return self.said

    def pids(self) -> list[int]:
        """Return all live processes of the run."""
        mark = f"TK_LOCAL_PLAY={self.mark}".encode()
        return [
            pid
            for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
            if mark in _environment(pid)
        ]


@contextlib.contextmanager
def start_playbook(
    tasks: Sequence[Mapping[str, Any]],
    *,
    keywords: Mapping[str, Any] | None = None,
    options: Mapping[str, object] | None = None,
    configuration: str = "",
    inventory: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    callback: bool = True,
) -> Iterator[PlaybookRun]:
    """Start a play.

    Args:
        tasks: in their order.
        keywords: of the play.
        options: of the section treekill of ansible.cfg.
        configuration: more lines of the section defaults.
        inventory: the variables of each host; localhost without.
        environ: added to an environment without what is Ansible's or ours.
        files: beside the playbook.
        arguments: more of ansible-playbook.
        callback: whether the file turns the callback on.
    """
    with tempfile.TemporaryDirectory(prefix="tk-", dir="/tmp") as name:
        directory = Path(name)
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {host: {**here, **more} for host, more in (inventory or {"localhost": {}}).items()}
        (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        (directory / "play.yml").write_text(
            json.dumps(
                [{"hosts": "all", "gather_facts": False, **(keywords or {}), "tasks": [*tasks]}]
            )
        )
        lines = [
            "[defaults]",
            "inventory = hosts.json",
            *(["callbacks_enabled = treekill.remote.guardian"] if callback else []),
        ]
        section = [
            f"{option} = {value}"
            for option, value in {"kill_timeout": 1, **(options or {})}.items()
        ]
        (directory / "ansible.cfg").write_text(
            "\n".join([*lines, configuration, "[treekill]", *section])
        )
        for path, text in (files or {}).items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text)
        mark = secrets.token_hex(8)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TREEKILL", "ANSIBLE_", "XDG_RUNTIME_DIR"))
        }
        places = {
            "HOME": str(directory),
            "TMPDIR": str(directory),
            "PYTHONPATH": PLACES,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        }
        words = [sys.executable, "-m", "ansible.cli.playbook", "play.yml", *arguments]
        with open(directory / "said", "wb") as said:
            process = subprocess.Popen(
                words,
                cwd=directory,
                env={
                    **clean,
                    **places,
                    "LC_ALL": "C.UTF-8",
                    "TK_LOCAL_PLAY": mark,
                    **(environ or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        play = PlaybookRun(directory, mark, process)
        try:
            yield play
        finally:
            _end(play)


def _end(play: PlaybookRun) -> None:
    play.process.kill()
    play.process.wait()
    deadline = time.monotonic() + PATIENCE
    while pids := play.pids():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert time.monotonic() < deadline, f"alive: {pids}"
        time.sleep(0.02)


def _environment(pid: int) -> list[bytes]:
    return _read(pid, "environ").split(b"\0")


def _words(pid: int) -> list[str]:
    return _read(pid, "cmdline").decode(errors="replace").rstrip("\0").split("\0")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # gone
