# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill pass on a host whose processors have too much to do, against trees that fork.

A pass ends the tree, or its report names what lives, or says that the end is not confirmed. It
never leaves a process unnamed. --rounds N repeats each row.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    KillReportError,
    parse_report,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
)

from tests.unit.plugins.module_utils.process_namespace import ProcessNamespace, read_lines
from tests.unit.plugins.module_utils.tree_kinds import KINDS, LEASE, RUN

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

LOOPS = 8
GRACE = 0.5
#: Seconds beyond the grace period: those of the KILL phase, and what a host without a free
#: processor adds.
MOST_SECONDS = 10.0 + 10.0
#: Seconds in which processes are counted afterwards. One empty look is no proof.
WATCH_SECONDS = 0.5
PYTHON = "/usr/bin/python3"
#: A user of its own, so that the limit of the fork bomb counts no other process.
USER = ["setpriv", "--reuid=61234", "--regid=61234", "--clear-groups"]
BREEDING = {kind.name: kind for kind in KINDS if kind.breeds}
SWIFT = "forks and exits as fast as it can"


def rows():
    """Return program, user and kind of tree. The shell only has to say what it can't catch."""
    for kind in BREEDING:
        yield "python", "root", kind
    yield "python", "user", SWIFT
    yield "shell", "root", SWIFT


def survivors_of_a_pass(program, user, kind):
    """Start a tree on a busy host, and make one pass. Return its report and what lives."""
    become = USER if user == "user" else []
    script = kind.command()
    script[-1] = script[-1].replace(shlex.quote(sys.executable), PYTHON)
    request = KillRequest(RUN, LEASE, "n0", timeout=GRACE, arrival_timeout=0.3)
    command = kill_command(request, [PYTHON] if program == "python" else [])
    with ProcessNamespace() as namespace:
        for dummy in range(LOOPS):
            namespace.spawn(["/bin/sh", "-c", "while :; do :; done"], bare=True)
        loops = set(namespace.wait_for(lambda now: len(now) == LOOPS, "the loops"))
        read_lines(namespace.spawn([*become, *script]), kind.ready)
        namespace.wait_for(lambda now: len(now) >= LOOPS + kind.alive, "the tree")
        report = parse_report(namespace.run([*become, "/bin/sh", "-c", command])[0], "n0")
        until = time.monotonic() + WATCH_SECONDS
        alive = {}
        while not alive and time.monotonic() < until:
            now = namespace.processes()
            assert loops <= set(now)
            alive = {pid: process for pid, process in now.items() if pid not in loops}
        return report, alive


@pytest.mark.parametrize(("program", "user", "name"), list(rows()))
def test_nothing_of_a_tree_is_left_unnamed_on_a_busy_host(program, user, name):
    kind = BREEDING[name]
    report, alive = survivors_of_a_pass(program, user, kind)
    assert report.method == ("proc" if program == "python" else "shell")
    assert report.survivors or not alive, report
    assert report.seconds < GRACE + MOST_SECONDS
    what = "named" if report.survivors else "ended"
    print(f"{program}, {user}, {name}: {what} after {report.seconds} s")


@pytest.mark.parametrize("most", range(4, 14))
def test_a_shell_that_can_start_no_process_confirms_nothing(most):
    """The user of the task may have no more processes. A list that can't be made looks empty."""
    command = kill_command(KillRequest(RUN, LEASE, "n0", timeout=GRACE, arrival_timeout=0.3), [])
    with ProcessNamespace() as namespace:
        namespace.spawn([*USER, "env", f"TREEKILL={RUN}/{LEASE}/9999/1", "sleep", "1000"])
        namespace.wait_for(lambda now: len(now) == 1, "the tree")
        limited = ["prlimit", f"--nproc={most}", *USER, "/bin/sh", "-c", command]
        try:
            output = namespace.run(["sh", "-c", '"$@"; :', "sh", *limited])[0]
            report = parse_report(output, "n0")
        except KillReportError:
            return  # the host counts as not confirmed
        assert report.survivors or not namespace.processes(), report


def test_a_shell_that_can_go_on_no_more_leaves_nothing_stopped():
    """A process that stays stopped can't end by itself, and holds its locks."""
    command = kill_command(KillRequest(RUN, LEASE, "n0", timeout=20.0, arrival_timeout=0.3), [])
    with ProcessNamespace() as namespace:
        deaf = 'trap "" TERM; exec sleep 1000'
        sleep = ["env", f"TREEKILL={RUN}/{LEASE}/9999/1", "sh", "-c", deaf]
        for dummy in range(3):
            # A parent of another user might stop itself with them, so they would not be stopped.
            namespace.spawn([*USER, *sleep], bare=True)
        namespace.wait_for(lambda now: len(now) == 3, "the tree")
        running = namespace.spawn([*USER, "/bin/sh", "-c", command], stderr=subprocess.DEVNULL)
        now = namespace.wait_for(stopped, "something stopped")
        for process in now.values():
            if process.arguments[3:4] == ["treekill"]:
                lowered = ["prlimit", f"--pid={process.pid}", "--nproc=1"]
                namespace.run(["sh", "-c", '"$@"; :', "sh", *USER, *lowered])
        with pytest.raises(KillReportError):
            parse_report(running.communicate(timeout=60)[0].decode(), "n0")
        assert len(namespace.processes()) == 3
        assert not stopped(namespace.processes())


def stopped(now):
    """Return the processes that are stopped."""
    return [process for process in now.values() if process.state == "T"]
