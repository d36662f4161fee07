# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real terminal with a shell that has job control, as a user has it before him."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

_SIZE = b"\x28\x00\xc8\x00\x00\x00\x00\x00"  # 40 lines of 200 columns, as struct winsize has them

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


class Terminal:
    """One pty, with what is written to it kept in a file."""

    def __init__(self, screen: Path) -> None:
        self._keyboard, self.line = os.openpty()
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, _SIZE)
        with open(screen, "wb") as file:
            # What is written to a terminal that nobody reads blocks its writer. A session of its
            # own: Ctrl-C here is not meant for it.
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
        """Start a shell that runs the command as its foreground job, and ends with the status of it."""
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
        """Give it another size, as a user does who drags its corner."""
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def write(self, keys: bytes) -> None:
        """Type."""
        os.write(self._keyboard, keys)

    def close(self) -> None:
        """Switch it off, once nothing runs on it any more."""
        os.close(self.line)
        self._reader.wait()
        os.close(self._keyboard)


def default_signals() -> None:
    """In a new process: whoever started the tests may have ignored INT or HUP, and what is ignored stays ignored."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _take_terminal() -> None:
    default_signals()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
