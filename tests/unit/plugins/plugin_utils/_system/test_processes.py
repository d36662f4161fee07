# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A watcher of a process learns of its end, once, with and without a pidfd."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._system import processes
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    ProcessWatch,
    identify,
)


@pytest.fixture(params=["pidfd", "by asking"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by asking":
        monkeypatch.delattr(os, "pidfd_open")
        monkeypatch.setattr(processes, "_POLL_SECONDS", 0.01)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def serve(loop: Loop, wanted: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    loop.after(seconds, lambda: None)
    loop.run_while(lambda: wanted() and time.monotonic() < until)


def test_the_end_is_told_once(sleeper: subprocess.Popen[bytes]):
    loop, told = Loop(), []
    ProcessWatch(loop, identify(sleeper.pid), lambda: told.append(1))
    serve(loop, lambda: not told, 0.1)
    assert not told
    sleeper.kill()
    sleeper.wait()
    serve(loop, lambda: not told, 20)
    serve(loop, lambda: True, 0.1)
    assert told == [1]


def test_an_earlier_end_of_a_process_is_told_at_once(sleeper: subprocess.Popen[bytes]):
    process, told = identify(sleeper.pid), []
    sleeper.kill()
    sleeper.wait()
    ProcessWatch(Loop(), process, lambda: told.append(1))
    assert told == [1]


def test_another_process_with_the_same_pid_is_not_taken_for_it(sleeper: subprocess.Popen[bytes]):
    told = []
    ProcessWatch(
        Loop(), ProcessId(sleeper.pid, identify(sleeper.pid).start - 1), lambda: told.append(1)
    )
    assert told == [1]


def test_after_the_stop_nothing_is_told(sleeper: subprocess.Popen[bytes]):
    loop, told = Loop(), []
    watch = ProcessWatch(loop, identify(sleeper.pid), lambda: told.append(1))
    watch.stop()
    watch.stop()
    sleeper.kill()
    sleeper.wait()
    serve(loop, lambda: True, 0.1)
    assert not told
