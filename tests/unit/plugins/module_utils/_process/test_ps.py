# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process table as ps writes it, where there is no /proc."""

import os
import subprocess
import sys

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.module_utils._process.ps import PsTable, parse_ps

LINES = {
    "procps": "  4242  4200  1000 S Sun Nov 22 12:34:41 2026 /bin/sh -c sleep 100; true",
    "FreeBSD": " 4242 4200 1000 I  Sun Nov 22 12:34:41 2026     /bin/sh -c sleep 100; true",
    "macOS, day first": (
        " 4242  4200  1000 Ss  Sun 22 Nov 12:34:41 2026     /bin/sh -c sleep 100; true"
    ),
}


@pytest.mark.parametrize("system", sorted(LINES))
def test_a_line_of_ps_is_understood(system):
    process, user, command = parse_ps(LINES[system])
    assert (process.id, process.ppid, process.state, process.comm) == (
        ProcessId(4242, 20261122123441),
        4200,
        "S",
        "sh",
    )
    assert (user, command) == (1000, "/bin/sh -c sleep 100; true")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ps: illegal option",
        "a b c d Sun Nov 22 12:34:41 2026 x",
        "1 2 3 S Sun Foo 22 12:34:41 2026 x",
        "1 2 3 S",
    ],
)
def test_another_line_is_passed_over(line):
    assert parse_ps(line) is None


def test_the_ps_of_this_host_shows_a_process_as_it_is():
    table = PsTable()
    source = "import sys; print('ready', flush=True); sys.stdin.read()"
    environment = {"A": "1", "TREEKILL": "x/y/1/2"}
    child = subprocess.Popen(
        [sys.executable, "-c", source],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        child.stdout.readline()
        assert child.pid in table.pids()
        process = table.process(child.pid)
        assert (process.ppid, process.alive, process.stopped) == (os.getpid(), True, False)
        assert b"TREEKILL=x/y/1/2" in table.environment(child.pid).split(b"\0")
        # Joined, because ps does not show which blanks were in a word. The path of the interpreter
        # may have some.
        assert b" ".join(table.arguments(child.pid)).startswith(
            os.fsencode(sys.executable) + b" -c "
        )
        assert table.effective_uid(child.pid) == os.geteuid()
        assert child.pid in table.children(os.getpid())
    finally:
        child.communicate()
    assert child.pid not in table.pids()
    assert table.process(child.pid) is None


def test_one_ps_shows_the_environments_of_all():
    asked = []

    def ps(command, text, until):
        asked.append(command)
        if "-A" in command:
            return (
                "".join(
                    "%d 1 1000 S Sun Nov 22 12:34:41 2026 sleep %d\n" % (pid, pid)
                    for pid in range(100, 600)
                ),
                "",
                0,
            )
        return "".join("%d sleep %d A=1 B=%d\n" % (pid, pid, pid) for pid in range(100, 600)), "", 0

    table = PsTable(ps, lambda: 0.0)
    assert all(table.environment(pid) == b"A=1\0B=%d" % pid for pid in table.pids())
    assert len(asked) == 2


def test_a_new_table_has_new_environments():
    shown = ["A=1", "A=2"]

    def ps(command, text, until):
        return (
            (
                "100 1 1000 S Sun Nov 22 12:34:41 2026 sleep 9\n"
                if "-A" in command
                else "100 sleep 9 %s\n" % shown.pop(0)
            ),
            "",
            0,
        )

    now = [0.0]
    table = PsTable(ps, lambda: now[0])
    assert table.environment(100) == b"A=1"
    now[0] += 1.0
    assert table.environment(100) == b"A=2"


def test_a_ps_that_fails_says_so():
    with pytest.raises(OSError, match=r"ps -A -ww .* failed: no such option"):
        PsTable(lambda command, text, until: ("", "no such option\n", 256)).pids()
