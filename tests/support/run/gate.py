# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gate: a task waits at it on the host until the test opens it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.hosts import Host
from tests.support.trees import tree

from .run import Run
from .waiting import until

#: What a task with processes has started when it waits at its gate.
DAEMONS = ("setsid", "daemon", "daemon-cleared")

_FIFO = "/tmp/gate-{row}-{name}"


def script(row: str, name: str = "gate") -> str:
    """Return shell commands that wait at the gate, and then print the word that opened it."""
    fifo = _FIFO.format(row=row, name=name)
    # The gate is opened for both directions, so a read does not end when a writer closes it.
    return f"mkfifo -m 666 {fifo}; exec 3<> {fifo}; : > {fifo}.ready; read -r word <&3; echo $word"


def after_daemons(row: str) -> str:
    """Return such commands for a task that has started some processes before."""
    return tree.left_behind(row, DAEMONS) + script(row)


def wait_at(run: Run, host: Host, name: str = "gate", seconds: float = 40) -> None:
    """Return when the task waits at its gate."""
    ready = _path(run, host, name, ".ready")
    until(
        lambda: run.process.poll() is not None or ready.exists(),
        seconds,
        lambda: f"no task comes to the gate {name} on {host.name}\n{run.story}",
    )
    assert run.process.poll() is None, f"it ended before it came to the gate {name}\n{run.story}"


def open_gate(run: Run, host: Host, name: str = "gate") -> None:
    """Open the gate: the task goes on."""
    writer = os.open(_path(run, host, name), os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"open\n")
    os.close(writer)


def _path(run: Run, host: Host, name: str, suffix: str = "") -> Path:
    return host.root / (_FIFO.format(row=run.row, name=name).lstrip("/") + suffix)
