# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Costs of a guardian.

They are its private memory while 200 leases are held, and its wake-ups while it is idle.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader, shell_loader

from tests.support.hosts import Lab
from tests.support.run import controller, run
from tests.support.run.play import Setting
from tests.support.trees import census, tree

from .figure import Figure
from .installed import product

_LEASES = 200
_BAR_MIB = 15.0

#: Flags of a listening socket in /proc/net/unix.
_ACCEPTS = "00010000"

#: Seconds for which its wake-ups are counted.
_IDLE_SECONDS = 5.0


def measure(lab: Lab) -> list[Figure]:
    """Measure the guardian of a run in flight.

    It is given as many leases as a run with 200 forks takes, by as many connections.
    """
    hosts = [lab["web1"]]
    hosts[0].reset()
    known = {"web1": frozenset(process.id for process in hosts[0].processes())}
    with run.started(lab, Setting(hosts=1, kinds=tree.COOPERATIVE), collection=True) as one:
        census.wait_for_tree(one, hosts, known)
        path = next(one.directory.glob("treekill-*/socket"))
        guardian = _listener(path, one.row)
        with _leases(path, _orders(lab)):
            memory = _private_mib(guardian)
            wakeups = _wakeups(guardian)
    return [
        Figure(
            f"guardian: private memory, with {_LEASES} leases",
            f"{memory:.1f} MiB",
            "",
            "",
            f"at most {_BAR_MIB:g} MiB",
            memory <= _BAR_MIB,
        ),
        Figure(
            f"guardian: wake-ups in {_IDLE_SECONDS:g} s in which nothing happens, with {_LEASES} "
            "leases",
            str(wakeups),
            "",
            "",
            "0",
            wakeups == 0,
        ),
    ]


@contextmanager
def _leases(path: Path, orders: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Take a lease for each order, by a connection of its own."""
    wire = product("_ipc.framing")
    with ExitStack() as stack:
        taken = []
        for order in orders:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connection.settimeout(10)
            connection.connect(str(path))
            channel = wire.Channel(connection)
            channel.send({"op": "take", **order})
            if not channel.receive()["granted"]:
                raise AssertionError("the guardian did not grant a lease")
            taken.append((channel, order["lease"]))
        try:
            yield
        finally:
            for channel, lease in taken:
                channel.send({"op": "done", "lease": lease})


def _listener(path: Path, row: str) -> int:
    """Return the pid of the run's process that has the listening socket open.

    The socket's peer credentials name another process: the one that has bound it.
    """
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    listening = {
        f"socket:[{fields[6]}]"
        for fields in lines
        if fields[-1] == str(path) and fields[3] == _ACCEPTS
    }
    for process in controller.processes(row):
        if any(
            os.readlink(entry) in listening
            for entry in Path(f"/proc/{process.id.pid}/fd").iterdir()
        ):
            return process.id.pid
    raise AssertionError(f"no process listens on {path}")


def _orders(lab: Lab) -> list[dict[str, Any]]:
    """Return what workers send, made as they make it.

    It has all options of an ssh connection, its shell and sudo.
    """
    spec_of, options, orders = (
        product("_kill_order.kill_order").ConnectionSpec.from_connection,
        product("_core.options").resolve(),
        [],
    )
    for number in range(_LEASES):
        lease, name = secrets.token_hex(4), f"host{number}"
        order = {
            "run": "0123456789abcdef",
            "lease": lease,
            "options": dataclasses.asdict(options),
            "interpreters": ["/usr/bin/python3", "python3"],
            "becomes": True,
            "pipelined": False,
            "show_arguments": True,
        }
        reach = product("_ipc.framing").to_json(dataclasses.asdict(spec_of(_connection(lab, name))))
        terms = {
            "run": order["run"],
            "timeout": options.timeout,
            "retry_for": options.retry_for,
            "keep": False,
            "end_async": False,
            "local": False,
        }
        terms.update(cut=False, supervised=True, transfer=False)
        texts = {"order": json.dumps(order), "reach": reach}
        orders.append(
            {
                "lease": lease,
                "host": name,
                "task": "A task of a usual name",
                "terms": terms,
                **texts,
            }
        )
    return orders


def _connection(lab: Lab, name: str) -> Any:
    context = PlayContext()
    context.remote_addr, context.remote_user, context.executable = name, "ansible", "/bin/sh"
    connection = connection_loader.get(
        "ssh", context, new_stdin=None, task_uuid="", ansible_playbook_pid=str(os.getpid())
    )
    variables = {
        "ansible_host": name,
        "ansible_user": "ansible",
        "ansible_ssh_common_args": f"-F {lab.ssh_config}",
        "ansible_ssh_private_key_file": str(lab.key),
    }
    connection.set_options(var_options=variables)
    connection._shell = shell_loader.get("sh")
    connection._shell.set_options(var_options=variables)
    become = become_loader.get("sudo")
    become.set_options(var_options={"ansible_become_password": secrets.token_hex(8)})
    connection.set_become_plugin(become)
    return connection


def _private_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return (
        sum(
            int(line.split()[1])
            for line in lines
            if line.startswith(("Private_Clean:", "Private_Dirty:"))
        )
        / 1024
    )


def _wakeups(pid: int) -> int:
    before = _switches(pid)
    # This waits for no event: it measures how little happens in this time.
    time.sleep(_IDLE_SECONDS)
    return _switches(pid) - before


def _switches(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
