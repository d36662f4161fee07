# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time that a supervisor takes: none from the output of its module, and little to end a tree."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import termios
import time

import pytest

from tests.unit.plugins.plugin_utils._payload.test_supervisor_channel import (
    GRACE,
    TREE,
    ends,
    sleeps,
    started,
)
from tests.unit.plugins.plugin_utils.supervised import PATIENCE, PYTHON, PYTHONS, Module

from .fastest import fastest

MEGABYTES = 100
#: Bar for the ratio of the times with and without a supervisor. Copying the output would at least
#: quadruple the time.
SLOWEST = 3.0

#: Seconds from the end of the channel to the end of the last process. A quiet machine takes a fifth
#: of it.
BAR = 1.5


def seconds_of_output(module, supervised):
    """Return the time from the first byte to the last."""
    process = subprocess.Popen(
        module.argv(supervised), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    total = len(os.read(process.stdout.fileno(), 1))
    began = time.monotonic()
    while part := os.read(process.stdout.fileno(), 1 << 16):
        total += len(part)
    took = time.monotonic() - began
    process.stdout.close()
    assert (process.wait(PATIENCE), total) == (0, MEGABYTES << 20)
    return took


def test_much_output_is_as_fast(tmp_path):
    module = Module(
        f"import os\npart = b'x' * 65536\nfor number in range({MEGABYTES * 16}):\n"
        "    assert os.write(1, part) == 65536",
        tmp_path,
    )
    supervised, bare = [], []

    def ratio():
        supervised.append(seconds_of_output(module.again(), True))
        bare.append(seconds_of_output(module, False))
        return min(supervised) / min(bare)

    found = fastest(ratio, SLOWEST)
    print(
        f"{MEGABYTES} MB: {min(supervised):.3f} s with a supervisor, {min(bare):.3f} s without, "
        f"ratio {found:.2f}"
    )
    assert found < SLOWEST


@pytest.mark.parametrize("python", dict.fromkeys([PYTHON, *PYTHONS.values()]))
def test_a_broken_channel_ends_the_tree_soon_on_every_python(namespace, tmp_path, python):
    def once():
        shell = started(namespace, Module(TREE, tmp_path, python=python, timeout=GRACE))
        shell.stdout.close()
        return ends(namespace)

    took = fastest(once, BAR)
    print(f"channel broken to last process gone: {took:.3f} s on {python}")
    assert took < BAR


def test_a_hung_up_terminal_ends_the_tree_soon(namespace, tmp_path):
    def once():
        master, slave = pty.openpty()

        def take():
            os.setsid()
            os.dup2(slave, 1)
            os.dup2(slave, 2)
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)

        module = Module(TREE, tmp_path, timeout=GRACE)
        process = subprocess.Popen(
            [*namespace._enter, *module.argv(True)], stdin=subprocess.DEVNULL, preexec_fn=take
        )
        os.close(slave)
        namespace.wait_for(lambda now: len(sleeps(now)) == 4, "the tree")
        os.close(master)
        took = ends(namespace)
        process.wait(PATIENCE)
        return took

    took = fastest(once, BAR)
    print(f"terminal hung up to last process gone: {took:.3f} s")
    assert took < BAR
