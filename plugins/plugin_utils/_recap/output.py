# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the main process says when core has ended: on standard error, or on the terminal where nobody reads that any more.

Ctrl-C on `ansible-playbook ... 2>&1 | tee log` ends the tee as well, and ansible-pull does not wait for the ansible-playbook whose output it passes on.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import signal
import stat
import sys
import termios
import time
import typing as t

if t.TYPE_CHECKING:
    from ansible.utils.display import Display

#: How long a reader may take before it is trusted to come. One that was interrupted is gone much
#: sooner.
_READER_SECONDS = 2.0


def print_lines(
    display: Display, lines: t.Sequence[tuple[str, str | None]], log: t.Sequence[str] | None = None
) -> None:
    """Show lines, each with its colour. Where nobody can be reached nothing is said: the run still has to end in good order.

    Args:
        display: of core.
        lines: text and colour of each.
        log: the lines that go to the file of C(log_path); the same without.
    """
    try:
        # Log and screen apart: old cores take a colour for the level of the line in the log, and raise where it is none, as that of headings.
        for text in [text for text, dummy in lines] if log is None else log:
            display.display(text, stderr=True, log_only=True)
        for text, color in lines:
            display.display(text, color=color, stderr=True, screen_only=True)
        _await_reader(sys.stderr)
    except OSError:
        # A pipe that nobody reads, a terminal that was hung up. There may be another way to whoever has pressed Ctrl-C.
        with contextlib.suppress(OSError):
            _on_terminal(text for text, dummy in lines)


def _await_reader(stream: t.TextIO) -> None:
    """Return when what was written to a pipe has been read, or nobody is in a hurry to.

    Raises:
        BrokenPipeError: the reader is gone. It may have died of the same Ctrl-C, a moment after this was written.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            return
    except (AttributeError, ValueError):
        return  # no file: a program that uses Ansible as a library has put something of its own there
    stream.flush()
    poll, unread, deadline = (
        select.poll(),
        array.array("i", [0]),
        time.monotonic() + _READER_SECONDS,
    )
    poll.register(stream.fileno(), 0)
    while time.monotonic() < deadline:
        if poll.poll(10):
            raise BrokenPipeError(errno.EPIPE, "nobody reads standard error")
        fcntl.ioctl(stream.fileno(), termios.FIONREAD, unread)
        if not unread[0]:
            return


def _on_terminal(lines: t.Iterable[str]) -> None:
    # With `stty tostop` a process in the background is stopped when it writes there, unless it blocks the signal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with open("/dev/tty", "w", encoding="utf-8", errors="replace") as terminal:
            terminal.writelines(f"{line}\n" for line in lines)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
