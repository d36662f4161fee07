# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that a kill pass runs, and a tree that is handed over to root.

Such a program has a time limit, whatever it does. The tree may have any size. Python 3.6.
"""

import os
import resource
import sys
import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sudo import hand_over
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.run_command import (
    run_command,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TrackedProcess


def python(source):
    return [sys.executable, "-c", source]


def soon(seconds=0.5):
    return time.monotonic() + seconds


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time; time.sleep(100)", (True, "no end in time")),
        ("import os, time; os.closerange(0, 3); time.sleep(100)", (True, "no end in time")),
        # The command itself has ended.
        ("import os, time; os.fork() or time.sleep(100)", (False, "")),
    ],
    ids=["prints nothing", "closes its output", "leaves its output to a child"],
)
def test_a_command_that_does_not_end_is_not_waited_for(source, expected):
    began = time.monotonic()
    dummy, errors, status = run_command(
        python("import signal; signal.alarm(5); " + source), b"x" * 500000, soon(2)
    )
    assert time.monotonic() - began < 4.5
    assert (status != 0, errors) == expected


def test_all_of_a_long_text_arrives_and_what_is_said_meanwhile_is_read():
    source = (
        "import sys; sys.stdout.write('y' * 300000); sys.stdout.flush(); "
        "print(len(sys.stdin.read()))"
    )
    output, errors, status = run_command(python(source), b"x" * 500000, soon(60))
    assert (output, errors, status) == ("y" * 300000 + "500000\n", "", 0)


def test_without_descriptors_it_says_so_and_keeps_none():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = sorted(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(os.dup(0)) + 3, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            run_command(["true"], b"", soon())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1


class Living:
    """A process that a pass has found."""

    def __init__(self, count):
        self.request = KillRequest("0123456789abcdef", "89abcdef", "n0", timeout=30.0)
        self.control = self
        self.began = 1.0
        self.processes = [
            TrackedProcess(Process(ProcessId(4000000 + number, 123456789), 1), "child")
            for number in range(count)
        ]

    def living(self):
        return self.processes

    def look_for_transactions(self):
        pass

    def mark_transactions(self):
        return False


def test_a_tree_of_any_size_is_handed_over(tmp_path, monkeypatch):
    """The kernel takes no argument of more than 128 KiB."""
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, os.environ["PATH"]))
    program = (
        "import sys\nfound = [word for word in sys.argv[1:] if word.startswith('found=')][-1]\n"
        "print('TREEKILL-REPORT n0 %d' % found.count(':'))\n"
    )
    assert hand_over(Living(20000), program) == ("20000", "")
