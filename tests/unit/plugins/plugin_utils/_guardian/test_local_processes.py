# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers and their clients on the controller.

They are frozen together, continued, or ended. No other process is touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.window_order import lease_in
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    ProcessId,
    descendants,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.idle_workers import (
    IdleWorkers,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.local_processes import (
    LocalProcesses,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.run_processes import (
    RunProcesses,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.endpoint import ENVIRONMENT
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.transfer import transferring
from ansible_collections.treekill.remote.plugins.plugin_utils._system import processes
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    identify,
    is_alive,
)

from .. import lease_factories

RUN = "00000000000000ac"
#: Other tests may run at this moment, with processes of their own that look alike.
PATH = f"/nowhere/{os.getpid()}/socket"


class Family:
    """A worker with a client, and a client of the client in a session of its own."""

    def __init__(self, **environ: str) -> None:
        script = "sh -c 'setsid sleep 7200 & echo $! $$; wait' & wait"
        self.worker = subprocess.Popen(
            ["sh", "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **environ},
        )
        assert self.worker.stdout is not None
        self.pids = [self.worker.pid, *map(int, self.worker.stdout.readline().split())]

    def states(self) -> str:
        """Return for each the letter in the process table; X if it is gone."""
        return "".join(map(state_of, self.pids))

    def close(self) -> None:
        for pid in reversed(self.pids):
            if state_of(pid) not in "XZ":
                os.kill(pid, signal.SIGKILL)
        self.worker.communicate()


def state_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def family() -> Iterator[Family]:
    one = Family()
    until(lambda: one.states() == "SSS")
    yield one
    one.close()


class Cookies:
    """A worker with two children.

    Each has the cookie of a lease in its command line, as a client and the root of a local tree
    have.
    """

    def __init__(self) -> None:
        commands = {
            f"COMMAND{number}": f"export TREEKILL={RUN}/0000000{number}/$$/$PPID; true"
            for number in (1, 2)
        }
        script = (
            "".join(f"""sh -c 'echo $$; sleep 7200; :' sh "${name}" & """ for name in commands)
            + "wait"
        )
        environment = {**os.environ, ENVIRONMENT: PATH, **commands}
        self.worker = subprocess.Popen(
            ["sh", "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
        )
        assert self.worker.stdout is not None
        pids = [int(self.worker.stdout.readline()) for dummy in range(2)]
        self.clients = sorted(pids, key=lambda pid: b"/00000002/" in ProcTable().arguments(pid)[-1])


@pytest.fixture
def cookies() -> Iterator[Cookies]:
    one = Cookies()
    table = ProcTable()
    # A shell that starts a program can't be stopped until that runs.
    until(
        lambda: (
            [table.arguments(child) for client in one.clients for child in table.children(client)]
            == [[b"sleep", b"7200"]] * 2
        )
    )
    yield one
    os.killpg(one.worker.pid, signal.SIGKILL)
    one.worker.communicate()


@pytest.fixture
def bystander(family: Family) -> Iterator[Family]:
    """Another worker of this run."""
    one = Family()
    until(lambda: one.states() == "SSS")
    yield one
    assert one.states() == "SSS"
    one.close()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def lease_of(worker: int, name: str = "00000001", **terms: Any) -> Lease:
    return Lease(
        name, 1, "web1", "a task", lease_factories.make_terms(run=RUN, **terms), "{}", worker=worker
    )


@pytest.fixture
def local(loop: Loop) -> LocalProcesses:
    return LocalProcesses(loop, PATH, None)


def test_a_worker_and_all_its_clients_are_frozen_and_let_go_again(local, family, bystander):
    local.freeze([lease_of(family.worker.pid)])
    until(lambda: family.states() == "TTT")
    local.resume("00000001")
    until(lambda: family.states() == "SSS")
    assert not local.busy


@pytest.mark.parametrize(
    ("lost", "goes_on"), [(False, True), (True, False)], ids=["main lives", "main is gone"]
)
def test_a_stopped_worker_is_continued_for_its_last_words_only_while_main_hears_them(
    local, loop, family, lost, goes_on
):
    """It may be about to send the command whose kill order has just been carried out."""
    told: list[signal.Signals] = []
    send = local._processes.send
    local._processes.send = lambda process, number: (
        process.pid == family.worker.pid and told.append(number),
        send(process, number),
    )  # type: ignore[method-assign]
    local.freeze([lease_of(family.worker.pid)])
    until(lambda: family.states() == "TTT")
    if lost:
        local.lose_main()
    local.end_clients_of(lease_of(family.worker.pid))
    loop.run_while(lambda: local.busy)
    assert (signal.SIGCONT in told) is goes_on
    until(lambda: state_of(family.worker.pid) in "XZ")


def test_what_a_local_connection_has_started_is_not_frozen_here(local, family):
    """It is the tree itself."""
    local.freeze([lease_of(family.worker.pid, local=True)])
    until(lambda: family.states() == "TSS")


def test_clients_end_at_once_and_their_worker_a_moment_later(local, loop, family, bystander):
    """The worker may hold a lock that the main process waits for."""
    lease = lease_of(family.worker.pid)
    local.freeze([lease])
    local.end_clients_of(lease)
    until(lambda: set(family.states()[1:]) <= set("XZ"))
    assert local.busy
    loop.run_while(lambda: local.busy)
    until(lambda: family.states()[0] in "XZ")


def test_a_client_whose_worker_is_dead_is_found_by_lease_and_socket(local, loop):
    cookie = f"export TREEKILL={RUN}/00000001/$$/$PPID; true"
    words = ["sh", "-c", "echo ready; sleep 7200; :", "ssh", cookie]
    clients = {
        name: subprocess.Popen(
            arguments,
            env={**os.environ, ENVIRONMENT: path},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for name, path, arguments in (
            ("mine", PATH, words),
            ("another guardian's", "/else/socket", words),
            ("another lease's", PATH, [*words[:-1], cookie.replace("00000001", "00000002")]),
        )
    }
    try:
        for client in clients.values():
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        local.end_clients_of(lease_of(0))
        loop.run_while(lambda: local.busy)
        assert clients["mine"].wait(10) == -signal.SIGKILL
        assert [name for name, client in clients.items() if client.poll() is None] == [
            "another guardian's",
            "another lease's",
        ]
    finally:
        for client in clients.values():
            os.killpg(client.pid, signal.SIGKILL)
            client.communicate()


def test_one_look_at_all_processes_serves_all_leases_that_end_meanwhile(local, loop, monkeypatch):
    """A look for each of a hundred leases costs more than all the other work at their end."""
    looks = []
    look = local._processes.stray_clients

    def noted(leases):
        began = loop.clock()
        found = look(leases)
        looks.append((began, loop.clock()))
        return found

    monkeypatch.setattr(local._processes, "stray_clients", noted)
    for number in range(100):
        local.end_clients_of(lease_of(0, f"{number:08x}"))
    loop.run_while(lambda: local.busy)
    assert len(looks) == 1
    for number in range(100, 110):
        local.end_clients_of(lease_of(0, f"{number:08x}"))
        loop.run_while(lambda: local.busy)
    assert len(looks) == 11
    # The rest after a look is longer than the look itself, by one clock: a busy machine makes both
    # longer.
    assert all(
        later[0] - earlier[1] > 3 * (earlier[1] - earlier[0])
        for earlier, later in itertools.pairwise(looks)
    )


def test_forks_of_a_main_process_that_is_gone_are_ended_but_for_those_that_stand_still(
    loop, bystander
):
    """Its forks hold the other end of a pipe of its own.

    Children of the guardian, which is this process here, are its couriers.
    """
    reader, writer = os.pipe()
    script = "sleep 7200 & one=$!; sleep 7200 & echo $one $!; wait"
    child = subprocess.Popen(
        ["sh", "-c", script],
        pass_fds=[writer],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    os.close(writer)
    try:
        assert child.stdout is not None
        free, standing = map(int, child.stdout.readline().split())
        local = LocalProcesses(loop, PATH, reader)
        local.freeze([lease_of(standing)])
        local.end_orphans([])
        until(lambda: state_of(free) in "XZ")
        assert state_of(standing) == "T"
        assert child.poll() is None
    finally:
        os.close(reader)
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def test_a_guardian_that_a_worker_has_started_does_not_freeze_itself(loop):
    """It is a child of that worker, which is frozen with its clients."""
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        try:
            guardian = os.fork()
            if guardian == 0:
                LocalProcesses(loop, PATH, None).freeze([lease_of(os.getppid())])
                os.write(writer, b"still at work")
            time.sleep(3600)
        finally:
            os._exit(0)
    os.close(writer)
    try:
        os.set_blocking(reader, False)
        until(lambda: state_of(worker) == "T")
        until(lambda: select.select([reader], [], [], 0)[0])
        assert os.read(reader, 100) == b"still at work"
    finally:
        os.close(reader)
        for pid in (*ProcTable().children(worker), worker):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(worker, 0)


def test_another_guardian_is_no_fork_that_goes_on_without_the_main_process(loop):
    """Both hold the read end of the pipe."""
    reader, writer = os.pipe()
    script = "sleep 7200 & echo $!; wait"
    child = subprocess.Popen(
        ["sh", "-c", script],
        pass_fds=[reader],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        other = int(child.stdout.readline())
        fork = subprocess.Popen(
            ["setsid", "sh", "-c", "sleep 7200 & echo $!; wait"],
            pass_fds=[writer],
            stdout=subprocess.PIPE,
            text=True,
        )
        os.close(writer)
        assert fork.stdout is not None
        orphan = int(fork.stdout.readline())
        LocalProcesses(loop, PATH, reader).end_orphans([])
        until(lambda: state_of(orphan) in "XZ")
        assert state_of(other) == "S"
    finally:
        os.close(reader)
        for process in (child, fork):
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_a_process_that_is_gone_has_no_identity_and_is_not_alive():
    with subprocess.Popen(["true"]) as process:
        me = identify(process.pid)
        until(lambda: state_of(process.pid) == "Z")
        assert not is_alive(me)
    with pytest.raises(ProcessLookupError):
        identify(me.pid)
    assert is_alive(identify(os.getpid()))
    assert not is_alive(ProcessId(os.getpid(), 1))


def test_the_worker_of_a_job_that_goes_on_by_itself_has_ended_and_its_pid_is_left_alone(
    local, family, bystander
):
    job = lease_of(bystander.worker.pid, "00000002")
    job.detached = True
    local.freeze([job, lease_of(family.worker.pid)])
    until(lambda: family.states() == "TTT")
    assert bystander.states() == "SSS"


def test_what_was_stopped_below_a_process_goes_on(family):
    for pid in family.pids:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: family.states() == "TTT")
    processes.resume_tree(identify(family.worker.pid))
    until(lambda: family.states() == "SSS")


@pytest.mark.parametrize(
    "script",
    ["sleep 7200", "trap : TERM; sleep 7200 & wait $!; sleep 7200"],
    ids=["none has it", "a shell goes on with its trap"],
)
def test_a_worker_that_has_passed_its_signal_on_before_it_ended_is_left_alone(loop, script):
    """Its group decides how it ends by the signal.

    A second signal could end it in the middle of that.
    """
    processes = RunProcesses(PATH, None, 0)
    idle = IdleWorkers(loop, processes)
    worker = subprocess.Popen(["sh", "-c", f"sh -c {script!r} & wait"], start_new_session=True)
    try:
        # In the place of its shell, or below it.
        table = ProcTable()
        until(
            lambda: (
                [b"sleep", b"7200"]
                in map(
                    table.arguments, descendants([worker.pid], table.children, lambda dummy: False)
                )
            )
        )
        members = processes.group_below(identify(worker.pid))
        sent: list[ProcessId] = []
        processes.send = lambda process, number: sent.append(process)  # type: ignore[method-assign]
        idle._see_passed_on(identify(worker.pid), members, members, signal.SIGTERM, 30)
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait()
        loop.run_while(lambda: idle.busy)
        assert not sent
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)


def test_what_a_worker_has_started_stands_still_until_the_last_of_its_leases_has_come_to_its_end(
    local, loop, family, bystander
):
    """Its threads have several commands under way, and no evidence shows whose a client is."""
    leases = [lease_of(family.worker.pid, name) for name in ("00000001", "00000002", "00000003")]
    local.freeze(leases)
    until(lambda: family.states() == "TTT")
    sent: list[ProcessId] = []
    send = local._processes.send
    local._processes.send = lambda process, number: (sent.append(process), send(process, number))  # type: ignore[method-assign]
    local.cut(leases[0])
    local.end_clients_of(leases[0])
    local.resume("00000002")
    loop.run_while(lambda: local.busy)
    assert not sent
    local.cut(leases[2])
    until(lambda: set(family.states()[1:]) <= set("XZ"))
    local.end_clients_of(leases[2])
    loop.run_while(lambda: local.busy)
    until(lambda: family.states()[0] in "XZ")


@pytest.mark.parametrize("way", ["cut", "killed", "alive"])
def test_the_password_of_a_client_is_removed_though_the_client_has_ended(
    local: LocalProcesses, loop: Loop, password: Path, way: str
) -> None:
    """A worker that is ended does not remove it."""
    family = Family(_ANSIBLE_SSH_ASKPASS_SHM=password.name)
    try:
        lease = lease_of(family.worker.pid)
        local.freeze([lease])
        if way == "cut":
            local.cut(lease)
        elif way == "killed":
            for pid in family.pids[1:]:
                os.kill(pid, signal.SIGKILL)
        if way != "alive":
            until(lambda: set(family.states()[1:]) <= set("XZ"))
        assert password.exists()
        local.end_clients_of(lease)
        assert not password.exists()
        loop.run_while(lambda: local.busy)
    finally:
        family.close()


def test_the_password_of_a_client_is_removed_with_an_orphan(loop: Loop, password: Path) -> None:
    """Its worker had no lease, and the main process is gone."""
    local = LocalProcesses(loop, PATH, None)
    family = Family(_ANSIBLE_SSH_ASKPASS_SHM=password.name)
    try:
        local.end_orphans([family.worker.pid])
        assert not password.exists()
        until(lambda: family.states()[0] in "XZ")
    finally:
        family.close()


#: A worker that has made a terminal for its client. Prints the pid of that.
WORKER_WITH_TERMINAL = """
import os, subprocess, time
master, slave = os.openpty()
print(subprocess.Popen(["sleep", "7200"], stdin=slave).pid, flush=True)
time.sleep(7200)
"""


@pytest.mark.parametrize("held", [1, 2])
def test_the_terminal_of_a_frozen_client_is_an_order_if_it_can_only_be_of_this_lease(local, held):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER_WITH_TERMINAL],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert worker.stdout is not None
        client = int(worker.stdout.readline())
        leases = [lease_of(worker.pid, f"8000000{number}") for number in range(held)]
        local.freeze(leases)
        until(lambda: (state_of(worker.pid), state_of(client)) == ("T", "T"))
        local.order_by_window(leases[:1])
        terminal = os.open(f"/proc/{client}/fd/0", os.O_RDONLY | os.O_NOCTTY)
        ordered = lease_in(fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
        os.close(terminal)
        assert ordered == ("80000000" if held == 1 else "")
        assert (state_of(worker.pid), state_of(client)) == ("T", "T")
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()


def test_the_client_of_a_lease_that_has_come_to_its_end_is_ended_though_its_worker_holds_another(
    local, loop, cookies
):
    """Its cookie shows it."""
    mine, other = lease_of(cookies.worker.pid), lease_of(cookies.worker.pid, "00000002")
    local.freeze([mine, other])
    local.end_clients_of(mine)
    loop.run_while(lambda: local.busy)
    until(lambda: state_of(cookies.clients[0]) in "XZ")
    assert [state_of(cookies.worker.pid), state_of(cookies.clients[1])] == ["T", "T"]
    local.end_clients_of(other)
    loop.run_while(lambda: local.busy)
    until(lambda: {state_of(cookies.worker.pid), state_of(cookies.clients[1])} <= set("XZ"))


def test_the_tree_of_a_local_lease_is_left_to_its_pass_though_its_worker_holds_another(
    local, loop, cookies
):
    tree, other = lease_of(cookies.worker.pid, local=True), lease_of(cookies.worker.pid, "00000002")
    local.freeze([tree, other])
    until(lambda: [state_of(cookies.worker.pid), state_of(cookies.clients[1])] == ["T", "T"])
    local.end_clients_of(other)
    local.end_clients_of(tree)
    loop.run_while(lambda: local.busy)
    until(lambda: {state_of(cookies.worker.pid), state_of(cookies.clients[1])} <= set("XZ"))
    assert state_of(cookies.clients[0]) == "S"


def test_a_main_process_that_holds_a_lease_itself_does_not_stand_still(loop, family):
    """A strategy may run a command there. The main process is the one that ends the run."""
    local = LocalProcesses(loop, PATH, None, family.worker.pid)
    lease = lease_of(family.worker.pid)
    sent: list[ProcessId] = []
    local._processes.send = lambda process, number: sent.append(process)  # type: ignore[method-assign]
    local.freeze([lease])
    local.end_clients_of(lease)
    loop.run_while(lambda: local.busy)
    assert not sent


@pytest.mark.parametrize("last", [0, 1])
def test_files_that_are_moved_in_several_threads_are_marked_until_the_last_of_them_is_there(
    monkeypatch, last
):
    monkeypatch.delenv("TREEKILL_TRANSFER", raising=False)
    moves = [transferring("00000001"), transferring("00000002")]
    for move in moves:
        move.__enter__()
    moves[1 - last].__exit__(None, None, None)
    assert os.environ["TREEKILL_TRANSFER"] == f"0000000{last + 1}"
    moves[last].__exit__(None, None, None)
    assert "TREEKILL_TRANSFER" not in os.environ


def test_a_client_that_another_thread_started_during_a_transfer_is_not_ended_with_it(local, loop):
    """It has the mark of the transfer by its environment, and the cookie of its own lease."""
    environment = {**os.environ, ENVIRONMENT: PATH, "TREEKILL_TRANSFER": "00000001"}
    words = ["sh", "-c", "echo ready; sleep 7200; :"]
    clients = [
        subprocess.Popen(
            [*words, *more], env=environment, stdout=subprocess.PIPE, start_new_session=True
        )
        for more in (["sftp"], ["ssh", f"export TREEKILL={RUN}/00000002/$$/$PPID; true"])
    ]
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        until(lambda: ProcTable().children(clients[1].pid))
        (helper,) = ProcTable().children(clients[1].pid)
        local.end_clients_of(lease_of(0, transfer=True))
        loop.run_while(lambda: local.busy)
        assert clients[0].wait(10) == -signal.SIGKILL
        # What it has started for itself has the mark alone.
        assert clients[1].poll() is None
        assert state_of(helper) not in "XZ"
    finally:
        for client in clients:
            os.killpg(client.pid, signal.SIGKILL)
            client.communicate()
