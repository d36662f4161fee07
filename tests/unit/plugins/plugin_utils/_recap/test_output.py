# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last lines of a run.

They are written into a pipe that is read, not into one that is not read, and to the terminal if
there is one.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from ..run_factory import PLACES

PROGRAM = """
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Line
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import print_lines
print_lines(Display(), [Line("first"), Line("second")])
print("went on", flush=True)
"""


def spoken(**streams: int) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONPATH": PLACES, "LC_ALL": "C.UTF-8"}
    # It has its own session: nothing of this may appear on the terminal of the tests.
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environ,
        start_new_session=True,
        **streams,
    )


def test_what_is_read_comes_whole() -> None:
    with spoken(stderr=subprocess.PIPE) as program:
        out, err = program.communicate(timeout=60)
    assert (out, err) == (b"went on\n", b"first\nsecond\n")


def test_a_pipe_without_a_reader_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with spoken(stderr=writing) as program:
        os.close(writing)
        assert program.communicate(timeout=60)[0] == b"went on\n"


@pytest.mark.parametrize(
    "reads", [True, False], ids=["before it was read", "before it was written"]
)
def test_where_the_reader_goes_the_terminal_is_told(reads: bool) -> None:
    """No process has read what is in a pipe whose reader has died."""
    keyboard, line = os.openpty()
    reading, writing = os.pipe()
    if not reads:
        os.close(reading)
    environ = {**os.environ, "PYTHONPATH": PLACES, "LC_ALL": "C.UTF-8"}
    take_terminal = f"import fcntl, os, termios; fcntl.ioctl({line}, termios.TIOCSCTTY, 0)"
    argv = [sys.executable, "-c", take_terminal + PROGRAM]
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=writing,
        stdin=subprocess.DEVNULL,
        env=environ,
        start_new_session=True,
        pass_fds=(line,),
    ) as program:
        os.close(writing)
        if reads:
            # It has come, and no process takes it out.
            assert select.select([reading], [], [], 60)[0]
            os.close(reading)
        assert program.communicate(timeout=60)[0] == b"went on\n"
    os.close(line)
    assert b"first\r\nsecond\r\n" in os.read(keyboard, 4096)
    os.close(keyboard)
