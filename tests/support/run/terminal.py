# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real terminal with a shell that has job control, as a user has it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

_SIZE = b"\x28\x00\xc8\x00\x00\x00\x00\x00"  #: 40 lines of 200 columns, as struct winsize has them

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


class Terminal:
    """One pty. What is written to it is kept in a file."""

    def __init__(self, screen: Path) -> None:
        self._keyboard, self.line = os.openpty()
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, _SIZE)
        with open(screen, "wb") as file:
            # If no process reads a terminal, a write to it blocks the writer. It has a session of
            # its own: Ctrl-C here is not meant for it.
            self._reader = subprocess.Popen(
                ["cat"],
                stdin=self._keyboard,
                stdout=file,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def start(
        self, argv: Sequence[str], environ: Mapping[str, str], directory: Path
    ) -> subprocess.Popen[bytes]:
        """Start a shell that runs the command as its foreground job, and ends with its status."""
        return subprocess.Popen(
            ["bash", "-mc", '"$@"; exit $?', "terminal", *argv],
            env=environ,
            cwd=directory,
            stdin=self.line,
            stdout=self.line,
            stderr=self.line,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size, as a user does with the corner of the window."""
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def write(self, keys: bytes) -> None:
        """Type this text."""
        os.write(self._keyboard, keys)

    def hang_up(self) -> None:
        """Lose the terminal, as when the connection of its user is lost."""
        self._reader.kill()
        self._reader.wait()
        os.close(self._keyboard)
        # `close` closes it again.
        self._keyboard = os.open(os.devnull, os.O_RDWR)

    def close(self) -> None:
        """Close it, once nothing runs on it."""
        os.close(self.line)
        self._reader.wait()
        os.close(self._keyboard)


def default_signals() -> None:
    """Reset the signals, in a new process.

    The parent of the tests may have ignored INT or HUP, and a child inherits that.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _take_terminal() -> None:
    default_signals()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
