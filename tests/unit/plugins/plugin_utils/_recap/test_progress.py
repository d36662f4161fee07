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
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    FinishingTransaction,
    KillProgress,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.progress import Progress

STATE = KillProgress(
    untried=17, grace=10.0, left=7.2, hosts=20, hosts_done=3, skips_grace=False, after_kill=None
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
    assert progress.text() == "treekill: 3 of 20 hosts done, 8 s of the grace period left"
    now += 5
    assert progress.text() == "treekill: 3 of 20 hosts done, 3 s of the grace period left"
    now += 5
    assert progress.text() == "treekill: 3 of 20 hosts done, the grace period is over, 10 s so far"
    progress.update(dataclasses.replace(STATE, skips_grace=True))
    assert progress.text() == "treekill: 3 of 20 hosts done, the grace period is over, 10 s so far"


def test_the_line_changes_each_second_also_when_nothing_happens(terminal):
    now = 100.0
    progress = Progress(terminal[0], lambda: now)
    progress.update(STATE)
    shown = []
    for second in range(100, 130):
        now = second
        shown.append(progress.text())
    assert len({*shown}) == len(shown)


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


def test_without_a_terminal_the_progress_is_printed_now_and_then():
    now = 100.0
    said: list[str] = []
    progress = Progress(io.StringIO(), lambda: now, said.append)
    progress.update(STATE)
    for second in (101.0, 109.0, 110.0, 111.0, 125.0):
        now = second
        progress.tick()
    assert said == [
        "3 of 20 hosts done, the grace period is over, 10 s so far",
        "3 of 20 hosts done, the grace period is over, 25 s so far",
    ]
    progress.update(FINISHING)
    said.clear()
    now = 150.0
    progress.tick()
    assert said == []


FINISHING = dataclasses.replace(
    STATE,
    finishing=(
        FinishingTransaction("web1", "apt-get", 12.2),
        FinishingTransaction("web2", "dpkg\x1b[2J", 3.0),
    ),
)


def test_it_names_a_transaction_and_how_long_it_takes(terminal):
    stream, screen = terminal
    now = 100.0
    said: list[str] = []
    progress = Progress(stream, lambda: now, said.append)
    progress.update(FINISHING)
    assert os.read(screen, 1000) == b"\r\x1b[Ktreekill: web1: apt-get is finishing (1"
    assert progress.text() == "treekill: web1: apt-get is finishing (12 s), and 1 more"
    now += 5
    assert progress.text() == "treekill: web1: apt-get is finishing (17 s), and 1 more"
    progress.update(dataclasses.replace(STATE, finishing=FINISHING.finishing[1:]))
    assert progress.text() == r"treekill: web2: dpkg\x1b[2J is finishing (3 s)"
    progress.update(STATE)
    assert progress.text() == "treekill: 3 of 20 hosts done, 8 s of the grace period left"
    assert said == []


def test_without_a_terminal_each_transaction_is_said_once():
    said: list[str] = []
    progress = Progress(io.StringIO(), lambda: 100.0, said.append)
    progress.update(STATE)
    progress.update(dataclasses.replace(STATE, finishing=FINISHING.finishing[:1]))
    progress.update(
        dataclasses.replace(STATE, finishing=(FinishingTransaction("web1", "apt-get", 16.0),))
    )
    assert said == ["web1: apt-get is finishing (12 s). Ctrl-C: do not wait for it."]
    progress.update(
        dataclasses.replace(STATE, finishing=(FinishingTransaction("web1", "dpkg", 20.0),))
    )
    assert said[1:] == ["web1: dpkg is finishing (20 s). Ctrl-C: do not wait for it."]
