# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy of a connection that others share is told from one that only its client needs.

The client is a program with the name of ssh, which starts its proxy and leaves its connection to a
fork as ssh does. `tests/integration/survival/test_shared_connection.py` has the real ones.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.ssh_clients import (
    SshClients,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    LocalTable,
    identify,
    is_alive,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.shared_proxies import (
    shared_proxies,
)

from tests.support.run.waiting import until

#: Starts a proxy, a shell with a command. With an argument, leaves the connection to a master, and
#: hands its own descriptors to that.
CLIENT = """
import os, signal, subprocess, sys
there = subprocess.Popen(
    ["sh", "-c", "sleep 1000 & wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
master = 0
if sys.argv[1:]:
    reading, writing = os.pipe()
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        handed_over = [os.dup(0), os.dup(1), there.stdin.fileno(), there.stdout.fileno()]
        for descriptor in handed_over:
            os.set_inheritable(descriptor, True)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        ready = f"import os, signal; os.write({writing}, b'%d' % os.getpid()); signal.pause()"
        os.set_inheritable(writing, True)
        os.execv(sys.executable, ["ssh: /a/path [mux]", "-S", "-c", ready])
    os.wait()
    master = int(os.read(reading, 20))
print(there.pid, master, flush=True)
if master:
    there.stdin.close()
    there.stdout.close()
signal.pause()
"""


@dataclass
class Clients:
    """A process that has started a client, and all that came of it."""

    leader: subprocess.Popen[bytes]
    client: int
    proxy: int
    command: int
    master: int

    @property
    def below(self) -> list[int]:
        return [self.client, self.proxy, self.command]


@pytest.fixture
def clients(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Clients]:
    program = tmp_path / "ssh"
    shutil.copy(pathlib.Path(sys.base_prefix, "bin/python3").resolve(), program)
    (tmp_path / "client.py").write_text(CLIENT)
    words = [str(program), str(tmp_path / "client.py"), *["master"] * request.param]
    leader = subprocess.Popen(
        ["sh", "-c", '"$@" & echo $!; wait; exec sleep 1000', "sh", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONHOME": sys.base_prefix,
            "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib",
        },
    )
    assert leader.stdout is not None
    client = int(leader.stdout.readline())
    proxy, master = map(int, leader.stdout.readline().split())
    until(lambda: LocalTable().children(proxy), 20, "the proxy has no command")
    (command,) = LocalTable().children(proxy)
    found = Clients(leader, client, proxy, command, master)
    try:
        yield found
    finally:
        for pid in filter(None, (*found.below, master, leader.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        leader.communicate()


@pytest.mark.parametrize("clients", [True], indirect=True)
def test_the_proxy_of_a_master_is_needed_as_long_as_the_master_lives(clients: Clients) -> None:
    table = LocalTable()
    assert shared_proxies(table, clients.below) == {clients.proxy, clients.command}
    assert shared_proxies(table, [clients.client], leader=1) == set()
    # As a part of it, the master is ended as well.
    assert shared_proxies(table, [*clients.below, clients.master]) == set()
    master = identify(clients.master)
    os.kill(clients.master, signal.SIGKILL)
    until(lambda: not is_alive(master), 20, "the master lives")
    assert shared_proxies(table, clients.below) == set()


@pytest.mark.parametrize("clients", [False], indirect=True)
def test_a_proxy_that_only_its_client_needs_is_not_shared(clients: Clients) -> None:
    assert shared_proxies(LocalTable(), clients.below) == set()
    assert shared_proxies(LocalTable(), clients.below, leader=1) == set()


@pytest.mark.parametrize("clients", [True], indirect=True)
def test_in_a_shortage_each_that_may_be_a_proxy_counts_as_one(clients: Clients) -> None:
    class Short(LocalTable):
        def pids(self) -> list[int]:
            return []

    assert shared_proxies(Short(), clients.below) == {clients.proxy, clients.command}


@pytest.mark.parametrize("clients", [True, False], indirect=True, ids=["master", "none"])
@pytest.mark.parametrize("first", ["the client", "the leader", "nothing"])
def test_the_end_of_a_group_leaves_only_the_proxy_of_a_master(clients: Clients, first: str) -> None:
    processes = {pid: identify(pid) for pid in clients.below}
    if first == "the client":
        os.kill(clients.client, signal.SIGKILL)
        until(lambda: not is_alive(processes[clients.client]), 20, "the client lives")
    elif first == "the leader":
        leader = identify(clients.leader.pid)
        clients.leader.kill()
        until(lambda: not is_alive(leader), 20, "the leader lives")
    SshClients.below(clients.leader.pid).end_with_leader()
    shared = {clients.proxy, clients.command} if clients.master else set()
    for pid in clients.below:
        if pid not in shared:
            until(lambda pid=pid: not is_alive(processes[pid]), 20, f"{pid} lives")  # type: ignore[misc]
    assert all(is_alive(processes[pid]) for pid in shared)
    assert clients.leader.wait(20) == -signal.SIGKILL


@pytest.mark.parametrize("clients", [True], indirect=True)
def test_the_clients_of_a_process_end_without_it(clients: Clients) -> None:
    found = SshClients.below(clients.leader.pid)
    assert [one.pid for one in found.clients] == [clients.client]
    found.end()
    assert clients.leader.poll() is None
