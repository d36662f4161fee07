# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Output of the main process after core has ended.

It goes to standard error. If that has no reader any longer, it goes to the terminal.

Ctrl-C on `ansible-playbook ... 2>&1 | tee log` ends the tee as well. ansible-pull does not wait for
the ansible-playbook whose output it forwards.
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

from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Line, Screen

if t.TYPE_CHECKING:
    from ansible.utils.display import Display

#: Seconds for a reader to read. After that it counts as a slow one. A reader that was interrupted
#: is gone much sooner.
_READER_SECONDS = 2.0


def print_lines(display: Display, lines: t.Sequence[Line]) -> None:
    """Print lines, each with its colour, if any reader can be reached.

    Without one, nothing is printed. The run still has to end properly.
    """
    try:
        # Log and screen are written separately. Old cores take the colour for the log level of the
        # line, and raise if it is none, as with the colour of headings.
        for line in lines:
            if line.log != "":
                log = line.text if line.log is None else line.log
                display.display(log, stderr=True, log_only=True)
        for line in lines:
            display.display(line.text, color=line.color, stderr=True, screen_only=True)
        _await_reader(sys.stderr)
    except OSError:
        # The pipe has no reader, or the terminal was hung up. The terminal of the process may still
        # reach the user who has pressed Ctrl-C.
        with contextlib.suppress(OSError):
            _on_terminal(line.text for line in lines)


def screen_of(display: Display) -> Screen:
    """Return the screen that standard error is."""
    width = Screen.width
    # A program that uses Ansible as a library may have put an object of its own there.
    is_terminal = bool(getattr(sys.stderr, "isatty", bool)())
    if is_terminal:
        try:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        except (AttributeError, OSError, ValueError):
            width = 80
    try:
        "├─└│…".encode(getattr(sys.stderr, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return Screen(width, unicode=False, verbosity=display.verbosity, wraps=is_terminal)
    return Screen(width, verbosity=display.verbosity, wraps=is_terminal)


def _await_reader(stream: t.TextIO) -> None:
    """Wait for the reader of a pipe to read what was written. Give up on a slow reader.

    Raises:
        BrokenPipeError: the reader is gone. It may have died of the same Ctrl-C, a moment after
            this was written.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            return
    except (AttributeError, ValueError):
        # This is no file. A program that uses Ansible as a library has put an object of its own
        # there.
        return
    stream.flush()
    poll, unread, deadline = (
        select.poll(),
        array.array("i", [0]),
        time.monotonic() + _READER_SECONDS,
    )
    poll.register(stream.fileno(), 0)
    while time.monotonic() < deadline:
        if poll.poll(10):
            raise BrokenPipeError(errno.EPIPE, "standard error has no reader")
        fcntl.ioctl(stream.fileno(), termios.FIONREAD, unread)
        if not unread[0]:
            return


def _on_terminal(lines: t.Iterable[str]) -> None:
    # With `stty tostop`, a write stops a process in the background unless it blocks the signal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with open("/dev/tty", "w", encoding="utf-8", errors="replace") as terminal:
            terminal.writelines(f"{line}\n" for line in lines)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
