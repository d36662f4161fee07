# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signal reaches the process that it is meant for, or none."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process import signaller
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import Signaller
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.give_way import is_pass
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    TrackedProcess,
    TreeControl,
)


@pytest.fixture(params=["pidfd", "kill"])
def send(request, monkeypatch):
    if request.param == "kill":
        monkeypatch.setattr(signaller, "_pidfd_works", lambda: False)
    elif not signaller._pidfd_works():
        pytest.skip("no pidfd before Python 3.9 and Linux 5.3")
    return Signaller(ProcTable().process).send


@pytest.fixture
def child():
    # Written in one call, not printed: the signal may come while "ready" is being printed.
    source = (
        "import os, signal, sys; signal.signal(signal.SIGUSR1, lambda *dummy: os.write(1, "
        "b'signal\\n')); os.write(1, b'ready\\n'); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
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


def test_a_process_that_is_gone_gets_nothing(send, child):
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


def test_the_number_of_a_thread_is_none_of_a_process():
    if not signaller._pidfd_works():
        pytest.skip("no pidfd before Python 3.9 and Linux 5.3")
    read_end, write_end = os.pipe()
    thread = threading.Thread(target=os.read, args=(read_end, 1))
    thread.start()
    try:
        number = thread.native_id
        found = ProcTable().process(number)
        with pytest.raises(ProcessLookupError):
            Signaller(ProcTable().process).send(found.id, 0)
    finally:
        os.write(write_end, b"x")
        thread.join()
        os.close(read_end)
        os.close(write_end)


def test_a_process_that_does_not_show_any_more_is_not_gone():
    hidden = Process(ProcessId(os.getpid(), 0), 1)
    with pytest.raises(PermissionError):
        Signaller(lambda pid: hidden).send(ProcessId(os.getpid(), 5), 0)
    control = TreeControl(None, None, None, lambda: 1.0, None)
    control.table = type("Table", (), {"process": staticmethod(lambda pid: hidden)})
    tracked = TrackedProcess(Process(ProcessId(os.getpid(), 5), 1), "child")
    control.processes[tracked.process.id] = tracked
    control.observe_and_resume()
    assert (tracked.ended, tracked.denied) == (None, True)


def test_only_a_kill_pass_of_the_run_holds_a_supervisor_up():
    run = "0123456789abcdef"
    kill_pass = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()", "run=" + run], stdin=subprocess.PIPE
    )
    try:
        until = time.monotonic() + 60
        while not is_pass(kill_pass.pid, run):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert not is_pass(kill_pass.pid, "f" * 16)
        assert not is_pass(os.getpid(), run)
        assert is_pass(0, run)
    finally:
        kill_pass.communicate()
