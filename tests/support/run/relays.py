# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy on the way to a host, and another user of the connection that leads through it."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .run import Run

_PROGRAM = """
import os, socket, sys, threading, time
time.sleep(float(sys.argv[1]))
host = socket.create_connection((sys.argv[2], int(sys.argv[3])))

def send():
    while text := os.read(0, 65536):
        host.sendall(text)
    host.shutdown(socket.SHUT_WR)

threading.Thread(target=send, daemon=True).start()
while text := host.recv(65536):
    os.write(1, text)
"""


def through_relay(folder: Path, seconds: float = 0.0) -> dict[str, str]:
    """Return the variables of a host whose connections lead through a program in this folder.

    Each login takes so many seconds more.
    """
    relay = folder / "relay.py"
    relay.write_text(_PROGRAM)
    # In double quotes: the directory of the clone may have a blank.
    command = f'"{sys.executable}" {relay} {seconds} %h %p'
    return {"ansible_ssh_extra_args": f"-o ProxyCommand='{command}'"}


class SharedConnection:
    """A session of others on the connection of a run."""

    def __init__(self, session: subprocess.Popen[bytes]) -> None:
        self._session = session

    def answers(self, seconds: float = 10.0) -> bool:
        """Whether a line comes back from the host."""
        assert self._session.stdin is not None
        assert self._session.stdout is not None
        try:
            self._session.stdin.write(b"a line\n")
            self._session.stdin.flush()
        except BrokenPipeError:
            return False
        ready = select.select([self._session.stdout], [], [], seconds)[0]
        return bool(ready) and self._session.stdout.readline() == b"a line\n"


@contextmanager
def shared(run: Run) -> Iterator[SharedConnection]:
    """Use the only connection of a run, as another run does that has the same ControlPath."""
    (path,) = (run.directory / "cp").glob("*")
    with subprocess.Popen(
        ["ssh", "-o", "ControlMaster=no", "-o", f"ControlPath={path}", "unused", "exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as session:
        try:
            others = SharedConnection(session)
            assert others.answers(), run.story
            yield others
        finally:
            session.kill()
