# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line with the progress: on a terminal, in its width, and gone in the end."""

from __future__ import annotations

import dataclasses
import fcntl
import io
import os
import struct
import termios
from collections.abc import Iterator

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import KillProgress
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.progress import Progress

STATE = KillProgress(
    in_hand=17, grace=10.0, left=7.2, hosts=20, hosts_done=3, hurried=False, after_kill=None
)


@pytest.fixture
def terminal(monkeypatch) -> Iterator[tuple[io.TextIOWrapper, int]]:
    """A terminal of 40 columns.

    It gives the stream for writing, and the descriptor from which its screen is read.
    """
    monkeypatch.setenv("TERM", "xterm")
    screen, line = os.openpty()
    fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    os.set_blocking(screen, False)
    with open(line, "w", encoding="utf-8") as stream:
        yield stream, screen
    os.close(screen)


def test_it_tells_hosts_and_seconds_and_counts_down(terminal):
    stream, screen = terminal
    now = 100.0
    progress = Progress(stream, lambda: now)
    progress.update(STATE)
    assert os.read(screen, 1000) == b"\r\x1b[Ktreekill: 3 of 20 hosts done, 8 s of th"
    assert progress.text() == "treekill: 3 of 20 hosts done, 8 s of the grace left"
    now += 5
    assert progress.text() == "treekill: 3 of 20 hosts done, 3 s of the grace left"
    now += 5
    assert progress.text() == "treekill: 3 of 20 hosts done, the grace is over"
    progress.update(dataclasses.replace(STATE, hurried=True))
    assert progress.text() == "treekill: 3 of 20 hosts done, the grace is over"


def test_it_writes_only_what_has_changed_and_takes_its_line_away(terminal):
    stream, screen = terminal
    progress = Progress(stream, lambda: 0.0)
    progress.update(STATE)
    os.read(screen, 1000)
    progress.tick()
    with pytest.raises(BlockingIOError):
        os.read(screen, 1000)
    progress.clear()
    assert os.read(screen, 1000) == b"\r\x1b[K"


def test_without_a_terminal_nothing_is_written(terminal, monkeypatch):
    stream = io.StringIO()
    progress = Progress(stream)
    progress.update(STATE)
    progress.clear()
    assert stream.getvalue() == ""
    monkeypatch.setenv("TERM", "dumb")
    progress = Progress(terminal[0])
    progress.update(STATE)
    with pytest.raises(BlockingIOError):
        os.read(terminal[1], 1000)
