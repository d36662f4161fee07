# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large file on its way to a host or from one, in the middle of which the run ends.

No client and no server of the transfer goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Host, Lab
from tests.support.run import controller, tasks
from tests.support.run.play import PARAMIKO
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees.table import rest
from tests.support.trees.triggers import (
    CTRL_C,
    INT,
    KILL,
    KILL_GROUP,
    KILL_WORKER,
    TIMEOUT,
    Trigger,
)

from .feature import LOOK, OPTIONS, record_of

#: Bytes. At the slow rate, they take some minutes.
SIZE = 8_000_000

#: Kilobits a second, as sftp and scp take it.
SLOW = "-l 400"

#: Seconds for which a file that must not grow is watched.
WHILE = 1.0

#: A way to the host that takes some kilobytes a second in both directions, for a client without
#: such an option.
NARROW = """
import os, select, socket, sys, time
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    for ready in select.select([0, there], [], [])[0]:
        data = os.read(0, 16384) if ready == 0 else there.recv(16384)
        if not data:
            sys.exit()
        os.write(1, data) if ready is there else there.sendall(data)
        time.sleep(len(data) / 200_000)
"""


@dataclass(frozen=True)
class Transfer:
    """One way by which a file is moved."""

    action: str
    method: str

    def __str__(self) -> str:
        return f"{self.action} by {self.method}"

    @property
    def task(self) -> dict[str, Any]:
        if self.action == "fetch":
            return {
                "name": "Fetch",
                "ansible.builtin.fetch": {
                    "src": "/tmp/large-{{ row }}",
                    "dest": "{{ playbook_dir }}/fetched",
                    "flat": True,
                },
            }
        return {
            "name": "Copy",
            "ansible.builtin.copy": {"src": "large", "dest": "/tmp/arrived-{{ row }}"},
        }

    @property
    def variables(self) -> dict[str, Any]:
        if self.method == "paramiko":
            return {
                "ansible_connection": PARAMIKO,
                "ansible_host_key_checking": False,
                "ansible_paramiko_proxy_command": "python3 narrow.py %h %p",
            }
        return {
            "ansible_ssh_transfer_method": self.method,
            "ansible_sftp_extra_args": SLOW,
            "ansible_scp_extra_args": SLOW,
        }

    def play(self, **more: Any) -> Play:
        steps = [
            {
                "name": "Make a large file",
                "ansible.builtin.command": f"truncate -s {SIZE} /tmp/large-{{{{ row }}}}",
            },
            {
                "name": "Move it",
                "block": [{**self.task, "timeout": 3600}],
                "rescue": [LOOK, tasks.trace("rescued")],
            },
            tasks.trace("after"),
        ]
        variables = {"ansible_remote_tmp": "/tmp/ansible-{{ row }}", **self.variables}
        files = {"narrow.py": NARROW, **({"large": "x" * SIZE} if self.action == "copy" else {})}
        return Play(steps, variables=variables, options=OPTIONS, files=files, **more)


TRANSFERS = [
    Transfer(action, method)
    for method in ("sftp", "scp", "paramiko")
    for action in ("copy", "fetch")
]


def clients(run: Run) -> list[controller.Local]:
    """Return what moves the file on this machine, if no worker does it by itself."""
    return [
        one
        for one in controller.processes(run.row)
        if re.match(r"(\S*/)?(sftp|scp) |(\S*/)?ssh .* sftp$|python3 narrow", one.command)
    ]


def servers(host: Host) -> list[str]:
    """Return what moves it on the host."""
    return [one.command for one in host.processes(r"sftp|scp", system=True)]


@contextmanager
def under_way(lab: Lab, transfer: Transfer, **more: Any) -> Iterator[tuple[Run, Path]]:
    """The run, when a part of the file has arrived, and that part."""
    host = lab["web1"]
    with started(lab, transfer.play(**more)) as run:
        into = (
            (run.directory, "fetched*")
            if transfer.action == "fetch"
            else (host.root / f"tmp/ansible-{run.row}", "*/*source*")
        )

        def arrived() -> list[Path]:
            return [path for path in into[0].glob(into[1]) if 0 < path.stat().st_size < SIZE]

        part = until(arrived, 40, lambda: f"nothing arrives\n{run.story}")[0]
        assert clients(run), [*map(str, controller.processes(run.row))]
        assert servers(host), run.story
        yield run, part


def assert_over(run: Run, host: Host, part: Path) -> None:
    """Assert that no process moves the file, here or there."""
    until(
        lambda: not servers(host),
        tasks.KILL_SECONDS,
        lambda: f"alive on the host: {servers(host)}\n{run.story}",
    )
    tasks.wait_until_nothing_is_left(run)
    if part.exists():
        size = part.stat().st_size
        stays(lambda: part.stat().st_size == size, WHILE, "the file grows")


def ended(*triggers: Trigger) -> pytest.MarkDecorator:
    """Return each transfer with each of these ends.

    Those by sftp, which is core's own choice, are always run; the others with --every-row.
    """
    names = {INT: "interrupt", CTRL_C: "interrupt", KILL: "KILL of main", TIMEOUT: "timeout"}

    def marks(transfer: Transfer, trigger: Trigger) -> list[pytest.MarkDecorator]:
        covered = (
            [covers("Play features", f"{transfer.action} of a large file", names[trigger])]
            if trigger in names
            else []
        )
        return covered + (
            [] if transfer.method == "sftp" and trigger in (KILL, TIMEOUT) else [rest]
        )

    table = [(transfer, trigger) for transfer in TRANSFERS for trigger in triggers]
    return pytest.mark.parametrize(
        ("transfer", "trigger"),
        [pytest.param(*row, id=f"{row[0]}, {row[1].name}", marks=marks(*row)) for row in table],
    )


@ended(INT, KILL, KILL_GROUP, CTRL_C, KILL_WORKER)
def test_no_transfer_goes_on_after_the_run(lab: Lab, transfer: Transfer, trigger: Trigger) -> None:
    host = lab["web1"]
    with under_way(lab, transfer, terminal=trigger.terminal) as (run, part):
        trigger.fire(run, lab)
        status = run.wait(30)
        assert_over(run, host, part)
        assert status is not None if trigger is KILL_WORKER else status == trigger.status, run.story
        assert not [path.name for path in (host.root / "tmp").glob(f"trace-{run.row}-*")], run.story
        if trigger.recap:
            assert re.search(
                r"^web1 : file transfer aborted \(task: (Copy|Fetch)\)",
                run.errors,
                re.MULTILINE,
            ), run.story


@ended(TIMEOUT)
def test_a_timeout_ends_the_transfer_before_the_rescue(
    lab: Lab, transfer: Transfer, trigger: Trigger
) -> None:
    """The run goes on."""
    host = lab["web1"]
    with under_way(lab, transfer) as (run, part):
        trigger.fire(run, lab)
        assert run.wait(40) == trigger.status, run.story
        assert_over(run, host, part)
        assert not re.findall(".*(?:sftp|scp).*", record_of(run, host.root)), run.story
        assert tasks.has_left_trace(run, host, "rescued"), run.story
        assert tasks.has_left_trace(run, host, "after"), run.story


@pytest.mark.parametrize("transfer", TRANSFERS[:2], ids=str)
def test_without_the_collection_a_transfer_goes_on(lab: Lab, transfer: Transfer) -> None:
    """The control."""
    with under_way(lab, transfer, collection=False) as (run, part):
        KILL.fire(run, lab)
        assert run.wait(20) == KILL.status, run.story
        size = part.stat().st_size
        until(lambda: part.stat().st_size > size, 20, "the file does not grow")
        assert servers(lab["web1"])
