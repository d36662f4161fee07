# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome "nothing has begun on a host".

It is reported for an ssh client that has received nothing from a server, and for no other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.local_processes import (
    LocalProcesses,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._system import tcp_connections
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop
from ansible_collections.treekill.remote.plugins.plugin_utils._system.tcp_connections import (
    silent_connections,
)

from ..lease_factories import make_terms
from ..ssh_servers import DyingMaster, firewalled_port, port

SSH = shutil.which("ssh") or ""

pytestmark = pytest.mark.skipif(not SSH, reason="there is no ssh here")

LEASE = "0000000a"

BANNER = b"SSH-2.0-OpenSSH_9.9\r\n"


class Worker:
    """A shell that starts clients, as a worker does."""

    def __init__(self, script: str) -> None:
        self.process = subprocess.Popen(
            ["sh", "-c", f"{script}\n:"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.local = LocalProcesses(Loop(), "/nowhere", None)
        self.lease = Lease(
            LEASE, 1, "web1", "a task", make_terms(client=SSH), "{}", worker=self.process.pid
        )

    def clients(self) -> list[int]:
        return ProcTable().children(self.process.pid)

    def is_found_without_session(self, freeze: Callable[[], object] | None = None) -> bool:
        if freeze is None:
            self.local.freeze([self.lease])
        else:
            freeze()
        return self.local.not_begun([self.lease], lambda dummy: False) == {LEASE}

    def close(self) -> None:
        # All that it has started is in its session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@contextlib.contextmanager
def worker(script: str) -> Iterator[Worker]:
    one = Worker(script)
    try:
        yield one
    finally:
        one.close()


def ssh(number: int, *options: str, program: str = SSH, address: str = "127.0.0.1") -> str:
    words = [
        program,
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-p",
        str(number),
        *(word for option in options for word in ("-o", option)),
        address,
        "true",
    ]
    return shlex.join(words)


def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def sends_syn(client: int) -> bool:
    """Whether a process tries to connect."""
    sockets = {
        os.readlink(path) for path in Path(f"/proc/{client}/fd").iterdir() if path.is_symlink()
    }
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[3] == "02" and f"socket:[{row[9]}]" in sockets for row in rows)


# What has not begun.


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_client_that_waits_for_the_first_word_of_a_server_has_begun_nothing(family):
    with (
        port(family=family) as silent,
        worker(
            ssh(silent.number, address="::1" if family == socket.AF_INET6 else "127.0.0.1")
        ) as one,
    ):
        silent.accept()
        assert one.is_found_without_session()


def test_a_client_whose_packets_are_not_answered_has_begun_nothing():
    with firewalled_port() as number, worker(ssh(number)) as one:
        until(lambda: any(map(sends_syn, one.clients())))
        assert one.is_found_without_session()


@pytest.mark.skipif(not shutil.which("sshpass"), reason="there is no sshpass here")
def test_sshpass_around_the_client_makes_no_difference():
    with port() as silent, worker(f"sshpass -p secret {ssh(silent.number)}") as one:
        silent.accept()
        assert one.is_found_without_session()


def test_processes_that_have_not_stopped_yet_are_waited_for(monkeypatch):
    with port() as silent, worker(ssh(silent.number)) as one:
        silent.accept()
        monkeypatch.setattr(time, "sleep", lambda seconds: one.local.freeze([one.lease]))

        def note_without_stopping() -> None:
            with monkeypatch.context() as context:
                context.setattr(one.local._processes, "send", lambda process, number: None)
                one.local.freeze([one.lease])

        assert one.is_found_without_session(note_without_stopping)


# What may have begun, or is not known.


def test_a_client_that_has_heard_a_word_may_have_begun_something():
    """Its server is stopped after its banner.

    The keys are not agreed on, but that can't be seen.
    """
    with port(says=BANNER) as speaks, worker(ssh(speaks.number)) as one:
        connection = speaks.accept()
        assert connection.recv(4) == b"SSH-"
        assert not one.is_found_without_session()


def test_a_word_that_came_while_the_client_stood_still_counts():
    with port() as silent, worker(ssh(silent.number)) as one:
        connection = silent.accept()
        one.local.freeze([one.lease])
        before = silent_connections()
        connection.sendall(BANNER)
        until(lambda: silent_connections() < before)
        assert not one.is_found_without_session()


def test_a_client_whose_master_has_died_with_its_request_may_have_begun_something(tmp_path):
    """It goes on by a connection of its own, over which nothing has come."""
    path = tmp_path / "master"
    master = DyingMaster(path)
    with (
        port() as silent,
        worker(
            ssh(silent.number, f"ControlPath={path}", "ControlMaster=auto", "ControlPersist=60")
        ) as one,
    ):
        assert master.took_request.wait(30)
        silent.accept()
        assert not one.is_found_without_session()


def test_a_client_behind_a_proxy_command_is_not_known():
    with port() as silent, worker(ssh(silent.number, "ProxyCommand=sleep 7200")) as one:
        until(one.clients)
        until(lambda: [pid for client in one.clients() for pid in ProcTable().children(client)])
        assert not one.is_found_without_session()


def test_a_program_around_the_client_may_have_tried_before(tmp_path):
    """The worker starts it, and it becomes the client in the end."""
    around = tmp_path / "ssh"
    around.write_text(f'#!/bin/sh\nexec {SSH} "$@"\n')
    around.chmod(0o755)
    with port() as silent, worker(ssh(silent.number, program=str(around))) as one:
        one.lease.terms = make_terms(client=str(around))
        silent.accept()
        assert not one.is_found_without_session()


def test_a_shell_between_worker_and_client_may_have_tried_before():
    with port() as silent, worker(f"sh -c {shlex.quote(ssh(silent.number) + '; :')}") as one:
        silent.accept()
        assert not one.is_found_without_session()


def test_a_worker_with_two_clients_is_not_known():
    with port() as silent, worker(f"{ssh(silent.number)} & {ssh(silent.number)}") as one:
        silent.accept()
        silent.accept()
        assert not one.is_found_without_session()


def test_a_client_that_was_started_after_the_others_stood_still_is_not_known():
    with port() as silent, worker(ssh(silent.number)) as one:
        silent.accept()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(one.local._processes, "below", lambda dummy, dummy_trees: [])
            assert not one.is_found_without_session()


def test_a_client_that_goes_on_is_not_believed(monkeypatch):
    """It was sent the signal, and has not stopped in time."""
    with port() as silent, worker(ssh(silent.number)) as one:
        silent.accept()
        monkeypatch.setattr(one.local._processes, "send", lambda process, number: None)
        assert not one.is_found_without_session()


@pytest.mark.parametrize("client", ["", None, "/bin/sh", "/nowhere/ssh"], ids=repr)
def test_a_lease_that_does_not_name_its_client_is_not_known(client: Any):
    with port() as silent, worker(ssh(silent.number)) as one:
        one.lease.terms = make_terms(client=client)
        silent.accept()
        assert not one.is_found_without_session()


def test_of_two_leases_of_a_worker_it_is_not_known_whose_client_it_is():
    """One may be that of a job which it polls by the other."""
    with port() as silent, worker(ssh(silent.number)) as one:
        silent.accept()
        poll = dataclasses.replace(one.lease, lease="0000000b")
        one.local.freeze([one.lease, poll])
        assert one.local.not_begun([one.lease, poll], lambda dummy: False) == set()


def test_where_the_kernel_does_not_tell_of_sockets_nothing_is_known(monkeypatch):
    with port() as silent, worker(ssh(silent.number)) as one:
        silent.accept()
        monkeypatch.delattr(socket, "AF_NETLINK")
        assert not one.is_found_without_session()


def test_what_may_have_begun_is_noted_for_its_lease():
    page = RunPage()
    assert not page.may_have_begun(LEASE)
    page.note_beginning(LEASE)
    assert page.may_have_begun(LEASE)
    assert not page.may_have_begun("0000000b")
    assert not page.gate_closed
    assert page.ask_again_at == 0.0


def test_a_socket_is_not_silent_where_one_of_its_connections_is_not(monkeypatch):
    """Multipath TCP has several connections for one socket.

    The later ones have often received nothing.
    """
    rows = {
        socket.AF_INET: [(5, True), (5, False), (6, True)],
        socket.AF_INET6: [(6, True), (7, False), (8, True)],
    }
    monkeypatch.setattr(tcp_connections, "_query", rows.__getitem__)
    assert silent_connections() == {6, 8}
