# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of a run on the machine of the controller, found by a mark in their environment."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from socket import inet_aton

from tests.support.hosts import ProcessId

#: Variable that is set for ansible-playbook, and inherited by all that it starts here. ssh does not
#: send it to a host.
MARK = "TK_ROW"

_PROC = Path("/proc")


@dataclass(frozen=True)
class Local:
    """One process of a run, on this machine."""

    id: ProcessId
    ppid: int
    command: str

    @property
    def is_ssh(self) -> bool:
        """Whether it is an ssh client."""
        return os.path.basename(self.command.split(" ", 1)[0]) in ("ssh", "sshpass")

    @property
    def is_ansible(self) -> bool:
        """Whether it is the main process or a fork of it: worker, guardian, courier."""
        return "ansible-playbook" in self.command

    def __str__(self) -> str:
        return f"{self.id.pid} {self.command[:100]}"


def processes(row: str) -> list[Local]:
    """Return the live processes of that run.

    The ControlMasters are left out, which are meant to stay for a while.
    """
    mark, found = f"{MARK}={row}".encode(), []
    for pid in (int(name) for name in os.listdir(_PROC) if name.isdigit()):
        try:
            if mark not in _environ(pid):
                continue
            process = Local(ProcessId.of(pid), _ppid(pid), _command(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended during the look.
        if process.id.alive() and process.command and "[mux]" not in process.command:
            found.append(process)
    return found


def _environ(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except PermissionError:
        return []  # It is another user's: no process of ours is.


def _command(pid: int) -> str:
    return (
        (_PROC / str(pid) / "cmdline")
        .read_bytes()
        .rstrip(b"\0")
        .replace(b"\0", b" ")
        .decode(errors="replace")
    )


def _ppid(pid: int) -> int:
    return int(
        (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
    )


def client_of(row: str, address: str) -> ProcessId:
    """Return the ssh client that talks to that address."""
    clients = [
        process.id
        for process in processes(row)
        if process.is_ssh and address in process.command.split()
    ]
    assert len(clients) == 1, f"not one ssh client talks to {address}: {clients}"
    return clients[0]


def masters(directory: Path) -> list[ProcessId]:
    """Return the ControlMasters of the run that has its files there.

    They show no environment, but answer.
    """
    found = []
    for socket in (directory / "cp").glob("*"):
        done = subprocess.run(
            ["ssh", "-O", "check", "-o", f"ControlPath={socket}", "unused"],
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        found.append(ProcessId.of(int(done.stderr.partition("pid=")[2].partition(")")[0])))
    assert found, f"no ControlMaster has a socket in {directory}"
    return found


def only_worker(row: str, main: int) -> ProcessId:
    """Return the worker of a run that has one host.

    It is the child of main that is not the guardian. The guardian alone holds a socket with a name
    of treekill's.
    """
    named = {
        f"socket:[{line.split()[6]}]"
        for line in Path("/proc/net/unix").read_text().splitlines()
        if "/treekill-" in line
    }
    workers = [
        process
        for process in processes(row)
        if process.ppid == main and process.is_ansible and not named & _open_files(process.id.pid)
    ]
    assert len(workers) == 1, f"not one worker: {', '.join(map(str, workers))}"
    return workers[0].id


def worker_of(row: str, main: int, address: str) -> ProcessId:
    """Return the worker that serves the host with that address.

    It is the child of main that is connected to the address, or whose client names it.
    """
    table = {process.id.pid: process for process in processes(row)}
    for client in table.values():
        if not client.is_ansible and address in client.command.split():
            worker = worker_above(client.id.pid, main)
            if worker is not None:
                return worker
    for process in table.values():
        if process.ppid == main and _is_connected(process.id.pid, address):
            return process.id
    listing = "\n".join(map(str, table.values()))
    raise AssertionError(f"no worker of {main} has a connection to {address}:\n{listing}")


def worker_above(pid: int, main: int) -> ProcessId | None:
    """Return the worker that this process is, or is below; None if it has none.

    A worker is a child of main.
    """
    while pid > 1:
        parent = _ppid(pid)
        if parent == main:
            return ProcessId.of(pid)
        pid = parent
    return None


def _is_connected(pid: int, address: str) -> bool:
    """Whether a process holds a TCP socket with that IPv4 address at the other end."""
    remote = inet_aton(address)[::-1].hex().upper()
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    sockets = {f"socket:[{fields[9]}]" for fields in lines if fields[2].startswith(f"{remote}:")}
    return bool(sockets & _open_files(pid))


def has_connection(pid: int) -> bool:
    """Whether a process holds a TCP socket over IPv4."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return bool({f"socket:[{fields[9]}]" for fields in lines} & _open_files(pid))


def _open_files(pid: int) -> set[str]:
    return {os.readlink(link) for link in (_PROC / str(pid) / "fd").iterdir()}


def end(row: str, directory: Path) -> None:
    """Kill all of it, and let its ControlMasters exit."""
    for socket in (directory / "cp").glob("*"):
        subprocess.run(
            ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "unused"],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    deadline = time.monotonic() + 10
    while True:
        left = processes(row)
        if not left:
            return
        for process in left:
            process.id.kill()
        for process in left:
            if not process.id.wait(deadline):
                raise AssertionError(f"row {row}: does not die of SIGKILL: {process}")
