# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run leaves other runs, other threads and other parts of its own program alone."""

from __future__ import annotations

import gc
import io
import os
import signal
import socket
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.command_line import (
    CommandLines,
    without_other_marks,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (
    ConnectionGuard,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import guardian_process
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import GuardianClient
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import Channel
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    UnguardedAnswer,
    UnguardedRequest,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Line
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import (
    print_lines,
    screen_of,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.signals import RunSignals

from .. import lease_factories

THREADS, EACH = 8, 60


def test_a_run_without_the_callback_asks_no_guardian_of_the_run_that_has_started_it(
    monkeypatch, tmp_path
):
    path = str(tmp_path / "socket")
    listener = endpoint.listen(path)
    monkeypatch.setenv(endpoint.ENVIRONMENT, path)
    monkeypatch.setattr(guardian_process, "ensure", lambda *arguments: "its own")
    try:
        assert endpoint.answers(path)
        client = GuardianClient.from_parent()
        monkeypatch.setattr(client, "_warn", lambda text: None)
        assert client._find() == "its own"
    finally:
        listener.close()


def test_threads_of_a_worker_share_its_connection():
    here, there = socket.socketpair()
    guardian = Channel(there)

    def answer() -> None:
        for dummy in range(THREADS * EACH):
            number = guardian.receive()["number"]
            guardian.send({"granted": True, "late": False, "why": "", "number": number})

    client = GuardianClient(run="0" * 16, main=SimpleNamespace(pid=1, start=1), announced=True)
    client._requests._channel, client._requests._owner = Channel(here), os.getpid()
    granted: list[bool] = []
    request = lease_factories.make_request(order="x" * 20000)
    threads = [
        threading.Thread(
            target=lambda: granted.extend(client.take_lease(request) for dummy in range(EACH))
        )
        for dummy in range(THREADS)
    ]
    served = threading.Thread(target=answer)
    for thread in [served, *threads]:
        thread.start()
    for thread in [*threads, served]:
        thread.join(60)
    here.close()
    there.close()
    assert granted == [True] * (THREADS * EACH)


def test_the_connection_of_a_client_that_is_dropped_is_closed_at_once():
    here, there = socket.socketpair()
    client = GuardianClient(run="0" * 16, main=SimpleNamespace(pid=1, start=1), announced=True)
    client._requests._channel = Channel(here)
    there.settimeout(10)
    gc.disable()
    try:
        del client, here
        assert there.recv(1) == b""
    finally:
        gc.enable()
        there.close()


def test_an_answer_that_comes_after_its_request_was_given_up_is_dropped():
    here, there = socket.socketpair()
    client, guardian = (
        GuardianClient(run="0" * 16, main=SimpleNamespace(pid=1, start=1), announced=True),
        Channel(there),
    )
    client._requests._channel, client._requests._owner = Channel(here), os.getpid()
    asked = UnguardedRequest("web1", "a connection", "why")
    with pytest.raises(TimeoutError):
        client._requests.ask(asked, UnguardedAnswer, time.monotonic() + 0.01)
    late = guardian.receive()["number"]
    # It reads again, and the worker asks for another lease.
    client.page.ask_again_at = 0.0
    guardian.send({"first": True, "number": late})
    guardian.send({"first": False, "number": late + 1})
    assert client._requests.ask(asked, UnguardedAnswer) == (UnguardedAnswer(False), late + 1)
    assert client._requests._answers == {}
    here.close()
    there.close()


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("TREEKILL=0123456789abcdef/01234567/12/34 A=1", "A=1"),
        ("A=1 TREEKILL=0123456789abcdef/01234567/12/34", "A=1 "),
        ("TREEKILL_SOCKET=/tmp/x/socket TREEKILL_KEEP=1 A=1", "A=1"),
        ("TREEKILL_SOCKET='/tmp/a b/socket' A=1", "A=1"),
        ("TREEKILL=spare A=1", "TREEKILL=spare A=1"),
        ("TREEKILL_KILL_TIMEOUT=3 A=1", "TREEKILL_KILL_TIMEOUT=3 A=1"),
    ],
)
def test_an_environment_that_was_taken_from_facts_brings_no_mark_of_another_lease(words, left):
    assert without_other_marks(words) == left


def test_a_command_that_would_be_too_long_with_its_guard_goes_out_as_it_is():
    told: list[str] = []
    guard = object.__new__(ConnectionGuard)
    options = SimpleNamespace(track="all", keep_on_disconnect=False, supervise=True, children=True)
    guard._task = GuardedTask("web1", "a task", options, ("python3",), True)
    guard._link = SimpleNamespace(
        run="0" * 16, unguarded=lambda host, connection, reason: told.append(reason)
    )
    guard._connection = SimpleNamespace(
        transport="ssh", _load_name="ssh", _play_context=SimpleNamespace(executable="/bin/sh")
    )
    guard._lines = CommandLines(guard._connection, "0" * 16, lambda: guard.task)
    guard._inside_become, guard._module_next = None, False
    guard._exec_command = lambda cmd, **more: (0, cmd.encode(), b"")
    text = "echo 'x'\n" * 9000
    assert guard.exec_command(text) == (0, text.encode(), b"")
    assert told == ["with its guard, a command line would be longer than the system accepts"]


@pytest.fixture
def signals():
    before = signal.getsignal(signal.SIGHUP)
    read_end, write_end = os.pipe()
    signals = RunSignals(write_end, lambda: True)
    try:
        yield signals
    finally:
        signals.uninstall()
        signal.signal(signal.SIGHUP, before)
        os.close(read_end)
        os.close(write_end)


def test_a_signal_that_a_user_has_chosen_to_ignore_stays_ignored(signals):
    signals.install()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert signals.reinstall() == ""
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_handler_that_came_later_is_given_back_at_the_end(signals):
    def later(number: int, frame: object) -> None:
        """Events of the program."""

    signals.install()
    signal.signal(signal.SIGHUP, later)
    assert "SIGHUP" in signals.reinstall()
    signals.uninstall()
    assert signal.getsignal(signal.SIGHUP) is later


class Proxy:
    """A stand-in for standard error, as some programs have one."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    def write(self, text: str) -> None:
        self.text.write(text)

    def flush(self) -> None:
        """Do nothing."""


def test_a_standard_error_that_is_no_file_is_written_to_like_one(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Proxy())
    assert not screen_of(Display()).unicode
    print_lines(Display(), [Line("a line")])
    assert "a line" in sys.stderr.text.getvalue()
