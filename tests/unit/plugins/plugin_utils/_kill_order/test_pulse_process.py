# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process that keeps a pulse ends with the main process, whatever its guardian does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import (
    pulse_process as module,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.pulse_process import (
    PulseProcess,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    identify,
    is_alive,
    kill_all,
)

from tests.support.run.waiting import stays, until

FOREVER = threading.Event()


class Run:
    """A main process, a guardian that says nothing, and its keeper of a pulse."""

    def __init__(self, run_pulse: Callable[..., object] = lambda *dummy: FOREVER.wait()) -> None:
        self.main = subprocess.Popen(["sleep", "7201"])
        said, say = os.pipe()
        self._guardian = os.fork()
        if self._guardian == 0:
            try:
                _be_guardian(identify(self.main.pid), say, run_pulse)
            finally:
                os._exit(1)
        os.close(say)
        self.keeper = identify(int(os.read(said, 16)))
        os.close(said)

    def signal_guardian(self, number: int) -> None:
        os.kill(self._guardian, number)

    def end(self) -> None:
        self.main.kill()
        self.main.wait()
        os.kill(self._guardian, signal.SIGKILL)
        os.waitpid(self._guardian, 0)


def _be_guardian(main: ProcessId, say: int, run_pulse: Callable[..., object]) -> None:
    orders, dummy_end = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            os.setsid()
            os.close(dummy_end)
            order: Any = SimpleNamespace(run_pulse=run_pulse)
            PulseProcess(order, main, RunPage(), orders, say).run()
        finally:
            os._exit(1)
    os.write(say, str(keeper).encode())
    while True:
        signal.pause()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.05)
    made = Run()
    yield made
    made.end()
    until(lambda: not is_alive(made.keeper), 20, "the process that keeps the pulse is alive")


def test_it_does_not_wait_for_a_stopped_guardian(run):
    run.signal_guardian(signal.SIGSTOP)
    run.main.kill()
    run.main.wait()
    until(lambda: not is_alive(run.keeper), 20, "the process that keeps the pulse is alive")


@pytest.mark.parametrize("stopped", [False, True])
def test_it_waits_for_a_guardian_at_work_and_for_the_main_process(run, stopped):
    """The guardian gives its orders after the end of the main process."""
    if stopped:
        run.signal_guardian(signal.SIGSTOP)
    else:
        run.main.kill()
        run.main.wait()
    stays(lambda: is_alive(run.keeper), 1.5, "the process that keeps the pulse is alive")


def test_it_ends_with_its_client_and_the_password_of_that(password: Path, tmp_path: Path) -> None:
    """Core removes a password when its client has ended. The client is in a session of its own."""
    ssh, started = tmp_path / "ssh", tmp_path / "started"
    shutil.copy(shutil.which("sleep") or "", ssh)

    def run_pulse(*dummy: object) -> None:
        environ = {"_ANSIBLE_SSH_ASKPASS_SHM": password.name}
        with subprocess.Popen([ssh, "7202"], env=environ, start_new_session=True) as client:
            (tmp_path / "part").write_text(str(client.pid))
            (tmp_path / "part").rename(started)

    run = Run(run_pulse)
    until(started.exists, 20, "the client has not begun")
    client = identify(int(started.read_text()))
    try:
        assert password.exists()
        run.end()
        until(lambda: not is_alive(run.keeper), 20, "the process that keeps the pulse is alive")
        until(lambda: not is_alive(client), 20, "the client is alive")
        assert not password.exists()
    finally:
        kill_all([client])
