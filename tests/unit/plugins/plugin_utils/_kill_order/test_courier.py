# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a courier that is given up, and of what it has started.

Its clients are real processes with the names of the real programs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import courier
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import Courier
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import PassMode
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    LocalTable,
    identify,
    is_alive,
    kill_all,
)

from tests.support.run.waiting import until

from ..lease_factories import make_terms

#: What a courier starts: clients for a password, and a kill pass on this machine.
PROGRAMS = ("ssh", "sshpass", "python3")

#: A client of the courier that has not begun its program.
FORK = "fork"


class Clients:
    """The programs that a courier has started, each in a session of its own.

    Their pids are in a folder.
    """

    def __init__(self, folder: Path, password: Path) -> None:
        self._folder = folder
        self._password = password
        for name in PROGRAMS:
            shutil.copy(shutil.which("sleep") or "", folder / name)

    def be_courier(
        self, dummy_lease: Lease, dummy_end: int, dummy_mode: PassMode, dummy_began: float
    ) -> NoReturn:
        """Start them, and wait to be ended."""
        try:
            os.setsid()
            for name in PROGRAMS:
                # Popen returns when the program has begun.
                process = subprocess.Popen(
                    [self._folder / name, "7200"],
                    start_new_session=True,
                    env={"_ANSIBLE_SSH_ASKPASS_SHM": self._password.name},
                )
                self._write(name, process.pid)
            if os.fork() == 0:
                os.setsid()
                self._write(FORK, os.getpid())
            while True:
                signal.pause()
        finally:
            os._exit(0)

    def _write(self, name: str, pid: int) -> None:
        (self._folder / "part").write_text(str(pid))
        (self._folder / "part").rename(self._folder / f"{name}.pid")

    def wait(self) -> dict[str, ProcessId]:
        """Return them by their names when all have begun."""
        files = {name: self._folder / f"{name}.pid" for name in (*PROGRAMS, FORK)}
        until(lambda: all(map(Path.exists, files.values())), 20, "the clients have not begun")
        return {name: identify(int(file.read_text())) for name, file in files.items()}


@pytest.fixture
def clients(tmp_path: Path, password: Path, monkeypatch: pytest.MonkeyPatch) -> Clients:
    """The clients of the next courier."""
    made = Clients(tmp_path, password)
    monkeypatch.setattr(courier, "_be_courier", made.be_courier)
    return made


@pytest.mark.parametrize("way", ["given up", "abandoned"])
def test_ssh_clients_end_in_whatever_session_and_a_kill_pass_goes_on(
    clients: Clients, password: Path, way: str
) -> None:
    """A pass that has stopped a tree would leave it stopped."""
    now = [0.0]
    loop = Loop(clock=lambda: now[0])
    results: list[LeaseResult] = []
    lease = Lease("00000001", 0, "web1", "a task", make_terms(), "{}")
    sent = Courier(lease, loop, lambda dummy, result: results.append(result))
    started = clients.wait()
    goes_on = started.pop("python3")
    try:
        if way == "abandoned":
            sent.abandon()
            assert not results
        else:
            now[0] = 60.0
            loop.run_while(lambda: not results)
            assert results == [LeaseResult(Outcome.UNREACHABLE, "no answer within 60 s")]
        for name, process in started.items():
            until(lambda process=process: not is_alive(process), 20, f"{name} is alive")
        assert is_alive(goes_on)
        assert not password.exists()
    finally:
        kill_all([*started.values(), goes_on])


def test_a_courier_that_waits_in_the_kernel_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client has not begun: the kernel stops neither of the two."""
    fifo = tmp_path / "a file that nothing answers for"
    os.mkfifo(fifo)

    def wait_for_client(*dummy: object) -> NoReturn:
        os.setsid()
        opened = [(os.POSIX_SPAWN_OPEN, 0, fifo, os.O_RDONLY, 0)]
        try:
            os.posix_spawn("/bin/true", ["true"], {}, file_actions=opened)
        finally:
            os._exit(0)

    monkeypatch.setattr(courier, "_be_courier", wait_for_client)
    loop = Loop()
    lease = Lease("00000001", 0, "web1", "a task", make_terms(), "{}")
    sent = Courier(lease, loop, lambda dummy, result: None)
    until(lambda: state_of(sent._pid) == "D", 20, "the courier does not wait in the kernel")
    rescue = threading.Timer(10, lambda: os.open(fifo, os.O_RDWR))  # the client can begin then
    rescue.start()
    began = time.monotonic()
    sent.abandon()
    rescue.cancel()
    assert time.monotonic() - began < 10
    loop.run_while(lambda: state_of(sent._pid) != "")


def test_a_courier_that_no_signal_ends_holds_up_nothing(
    frozen_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a device: here for a file system that stands still."""

    def write(*dummy: object) -> NoReturn:
        os.setsid()
        try:
            (frozen_place / "file").write_text("")
        finally:
            os._exit(0)

    monkeypatch.setattr(courier, "_be_courier", write)
    subprocess.run(["fsfreeze", "--freeze", str(frozen_place)], check=True)
    loop, results = Loop(), []
    lease = Lease("00000001", 0, "web1", "a task", make_terms(), "{}")
    sent = Courier(lease, loop, lambda dummy, result: results.append(result.outcome))
    until(lambda: state_of(sent._pid) == "D", 20, "the courier does not wait for the device")
    thaw = threading.Timer(10, subprocess.run, (["fsfreeze", "--unfreeze", str(frozen_place)],))
    thaw.start()
    sent._give_up()
    assert results == [Outcome.UNREACHABLE]
    assert state_of(sent._pid) == "D"
    assert thaw.is_alive(), "the courier was waited for"
    thaw.join()
    loop.run_while(lambda: state_of(sent._pid) != "")


def state_of(pid: int) -> str:
    """Return the state of a process; empty if there is none."""
    process = LocalTable().process(pid)
    return process.state if process is not None else ""
