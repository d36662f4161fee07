# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of an interrupted run on a terminal, in the width of that terminal."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterator

import pytest

from ..program_runs import start_playbook_program

STUBBORN = """trap "" TERM INT; until test -e go; do sleep 0.1; done"""
PLAY = f"""
- hosts: all
  gather_facts: no
  tasks:
    - command:
        argv: [sh, -c, '{STUBBORN}', stubborn]
"""


class Terminal:
    """A terminal, and what was written to it so far."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.screen, self.line = os.openpty()
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.set_blocking(self.screen, False)
        self._read = b""

    def text(self) -> str:
        try:
            while chunk := os.read(self.screen, 65536):
                self._read += chunk
        except BlockingIOError:
            pass  # all of it is read
        return self._read.decode().replace("\r\n", "\n")


@pytest.fixture
def terminal(request) -> Iterator[Terminal]:
    one = Terminal(request.param)
    yield one
    os.close(one.line)
    os.close(one.screen)


@pytest.mark.parametrize(
    ("terminal", "gap"),
    [(80, "\n  "), (200, " ")],
    ids=["80 columns", "200 columns"],
    indirect=["terminal"],
)
def test_a_message_breaks_at_words_in_the_width_of_the_terminal(tmp_path, terminal, gap):
    with start_playbook_program(
        tmp_path,
        PLAY,
        terminal=terminal.line,
        TREEKILL_KILL_TIMEOUT="3600",
        ANSIBLE_NOCOLOR="1",
        # There is no line about the progress then.
        TERM="dumb",
    ) as program:
        program.until(lambda: program.running("sh", "-c", STUBBORN, "stubborn"))
        program.signal(signal.SIGINT)
        program.until(lambda: "skip the report.\n" in terminal.text())
        (tmp_path / "go").touch()
        program.until(lambda: terminal.text() and program.process.poll() is not None)
    assert (
        "treekill: 1 kill order given; grace period 3600 s. Press Ctrl-C again to send"
        f"{gap}SIGKILL now, a third time to skip the report.\n"
    ) in terminal.text()
    assert "TREEKILL RECAP [SIGINT]" in terminal.text()
    assert max(map(len, terminal.text().splitlines())) <= terminal.columns
