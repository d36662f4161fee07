# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signal reaches the process it is meant for, or nobody."""

import os
import signal
import subprocess
import sys

import pytest
from ansible_collections.treekill.remote.plugins.module_utils import _signals
from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcessId, ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._signals import Signaller


@pytest.fixture(params=["pidfd", "kill"])
def send(request, monkeypatch):
    if request.param == "kill":
        monkeypatch.setattr(_signals, "_pidfd_works", lambda: False)
    elif not _signals._pidfd_works():
        pytest.skip("no pidfd before Python 3.9 and Linux 5.3")
    return Signaller(ProcTable().process).send


@pytest.fixture
def child():
    # Written in one call, not printed: the signal may come while "ready" is still being printed.
    source = "import os, signal, sys; signal.signal(signal.SIGUSR1, lambda *dummy: os.write(1, b'signal\\n')); os.write(1, b'ready\\n'); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_the_process_that_is_meant_gets_it(send, child):
    send(ProcTable().process(child.pid).id, signal.SIGUSR1)
    assert child.stdout.readline() == b"signal\n"


@pytest.mark.parametrize("difference", [-1, 1])
def test_one_with_the_same_pid_and_another_start_time_gets_nothing(send, child, difference):
    start = ProcTable().process(child.pid).id.start
    with pytest.raises(ProcessLookupError):
        send(ProcessId(child.pid, start + difference), signal.SIGKILL)
    assert child.poll() is None
    child.stdin.close()
    assert child.stdout.read() == b""
    assert child.wait() == 0


def test_who_is_gone_gets_nothing(send, child):
    process = ProcTable().process(child.pid).id
    child.kill()
    child.wait()
    with pytest.raises(ProcessLookupError):
        send(process, signal.SIGTERM)


@pytest.mark.parametrize("pid", [1, 0, -1, -os.getpgrp()])
def test_init_and_groups_are_never_meant(send, pid):
    with pytest.raises(ProcessLookupError):
        send(ProcessId(pid, 1), 0)


def test_a_process_that_hides_its_start_time_is_out_of_reach(send, child):
    with pytest.raises(PermissionError):
        send(ProcessId(child.pid, 0), signal.SIGKILL)
    assert child.poll() is None
