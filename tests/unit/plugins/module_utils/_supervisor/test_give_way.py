# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A supervisor stays until its kill pass has ended, whatever else continues it meanwhile."""

import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import time

import pytest

from tests.unit.plugins.module_utils.process_namespace import PROJECT_PATHS

#: Passes are looked for on the whole machine, so no other test has this value.
RUN = secrets.token_hex(8)

#: Stand-in for a pass: it lives until its standard input ends.
PASS = "import sys; sys.stdin.read()"

#: The kernel lets a process send itself a signal with any si_code. 0x80 is SI_KERNEL: a process
#: group that was orphaned while stopped gets it.
SUPERVISOR = """
import ctypes, json, os, signal, subprocess, sys
sys.path[:] = %r
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.give_way import give_way

run, with_pass = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])


def kernel_continues_us():
    info = (ctypes.c_int * 32)(signal.SIGCONT, 0, 0x80)
    if ctypes.CDLL(None).syscall(129, os.getpid(), signal.SIGCONT, info):
        raise OSError("no rt_sigqueueinfo")


class Supervisor:
    options = {"run": run, "timeout": "10"}
    childless = False
    looks = 0

    def reap(self):
        self.looks += 1
        if self.looks in (2, 4):
            kernel_continues_us()
        if self.looks == 6 and works:
            works.stdin.close()
            works.wait()


works = None
if with_pass == "yes":
    works = subprocess.Popen([sys.executable, "-c", %r, "run=" + run], stdin=subprocess.PIPE)
# It has its command line a moment after its start.
while works and b"run=" not in open("/proc/%%d/cmdline" %% works.pid, "rb").read():
    pass
kernel_continues_us()
supervisor = Supervisor()
print(json.dumps([give_way(supervisor), supervisor.looks]))
""" % (PROJECT_PATHS, PASS)


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the number of rt_sigqueueinfo is that of x86_64",
)
@pytest.mark.parametrize(("with_pass", "gave_way", "looks"), [("yes", True, 6), ("no", False, 0)])
def test_the_kernels_own_continuation_is_not_taken_for_that_of_a_pass(with_pass, gave_way, looks):
    printed = subprocess.check_output([sys.executable, "-c", SUPERVISOR, RUN, with_pass])
    assert json.loads(printed.decode()) == [gave_way, looks]


#: Waits for CONT again and again, for its argument of seconds, and prints each sender.
WAITS = """
import json, signal, sys, time
sys.path[:] = %r
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.give_way import (
    next_continuation
)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])
print("ready", flush=True)
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    info = next_continuation(0.004)
    if info is not None:
        print(json.dumps([info.si_signo, info.si_pid]), flush=True)
""" % (PROJECT_PATHS,)


def test_a_stop_at_the_end_of_a_look_is_taken_for_no_signal():
    """CPython returns from sigtimedwait() then, with what is left of an earlier signal."""
    waiting = subprocess.Popen(
        [sys.executable, "-c", WAITS, "2"], stdout=subprocess.PIPE, universal_newlines=True
    )
    assert waiting.stdout.readline() == "ready\n"
    sent = 0
    while waiting.poll() is None:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            waiting.send_signal(number)
            time.sleep(0.006)
        sent += 1
    came = [json.loads(line) for line in waiting.stdout]
    waiting.stdout.close()
    assert came
    assert all(row == [signal.SIGCONT, os.getpid()] for row in came), came
    assert len(came) <= sent
