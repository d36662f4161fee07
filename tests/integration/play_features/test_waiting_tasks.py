# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that wait for a host, and have no tree on it.

`wait_for` is a module of its own, `reboot` sends one command after the other.
"""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Host, Lab
from tests.support.run import controller, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees import census
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT, KILL, TIMEOUT, Trigger

from .feature import LOOK, OPTIONS, record_of

WAIT_FOR: dict[str, Any] = {
    "name": "Wait",
    "ansible.builtin.wait_for": {"path": "/tmp/never-{{ row }}", "timeout": 3600},
}

#: The module itself. Its file's name is also in the commands that make the file ready, and these
#: are over at once.
MODULE = re.compile(r"\S*python\S* \S*AnsiballZ_wait_for\.py$")

#: Command that tells one boot from another: the kernel's own number is the machine's. It leaves a
#: line each time that it is asked for.
BOOT_TIME = "echo asked >> /tmp/asked-{{ row }}; echo boot $(cat /var/tmp/boot-{{ row }})"

#: Returns at once, and reboots nothing.
REBOOT: dict[str, Any] = {
    "name": "Reboot",
    "ansible.builtin.reboot": {
        "reboot_command": "touch /tmp/told-{{ row }}",
        "boot_time_command": BOOT_TIME,
        "test_command": "true",
        "reboot_timeout": 600,
    },
}

#: Seconds for which no process may ask again. The pauses of core between two questions are shorter
#: at first.
WHILE = 3.0


def ends(subject: str, *triggers: Trigger) -> pytest.MarkDecorator:
    """Return the three ends, or those given."""
    names = {INT: "interrupt", KILL: "KILL of main", TIMEOUT: "timeout"}
    rows = [
        pytest.param(
            trigger,
            id=trigger.name,
            marks=[
                covers("Play features", subject, names[trigger]),
                *([] if trigger is INT else [rest]),
            ],
        )
        for trigger in triggers or names
    ]
    return pytest.mark.parametrize("trigger", rows)


def play(task: dict[str, Any], **more: Any) -> Play:
    rescued = {
        "name": "Or be rescued",
        "block": [{**task, "timeout": 3600}],
        "rescue": [LOOK, tasks.trace("rescued")],
    }
    return Play([rescued, tasks.trace("after")], **{"options": OPTIONS, **more})


def here(host: Host) -> list[str]:
    """Return what runs on a host where nothing else does: tests here begin with clean ones."""
    return [
        process.command
        for process in host.processes()
        if not process.command.startswith(census.REPORT)
    ]


def assert_over(run: Run, lab: Lab, trigger: Trigger) -> None:
    """Assert that no process runs on the host.

    Nothing more was started, or after a timeout the rest of the play was.
    """
    host = lab["web1"]
    assert run.wait(40) == trigger.status, run.story
    until(lambda: not here(host), tasks.KILL_SECONDS, lambda: f"alive: {here(host)}\n{run.story}")
    tasks.wait_until_nothing_is_left(run)
    for name in ("rescued", "after"):
        assert tasks.has_left_trace(run, host, name) is (trigger is TIMEOUT), run.story


@ends("wait_for")
def test_no_process_waits_any_longer(lab: Lab, trigger: Trigger) -> None:
    host = lab["web1"]
    with started(lab, play(WAIT_FOR)) as run:
        until(
            lambda: [line for line in here(host) if MODULE.match(line)],
            40,
            lambda: f"no process waits\n{run.story}",
        )
        trigger.fire(run, lab)
        assert_over(run, lab, trigger)
        assert trigger is not TIMEOUT or "wait_for" not in record_of(run, host.root), run.story
        assert trigger is not INT or re.search(
            r"^web1 : ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE
        ), run.story


def asked(run: Run, host: Host) -> int:
    """Return how often the host was asked whether it has rebooted."""
    path = host.root / f"tmp/asked-{run.row}"
    return len(path.read_text().splitlines()) if path.exists() else 0


def worker(run: Run) -> controller.ProcessId:
    """Return the worker that waits, between two connections: the guardian is older."""
    return max(
        (
            one.id
            for one in controller.processes(run.row)
            if one.is_ansible and one.ppid == run.process.pid
        ),
        key=lambda process: process.start,
    )


@ends("reboot, while it waits for the host to go down")
def test_no_process_asks_any_longer_whether_a_host_has_rebooted(lab: Lab, trigger: Trigger) -> None:
    host = lab["web1"]
    with started(lab, play(REBOOT)) as run:
        until(lambda: asked(run, host) > 1, 60, lambda: f"no process asks\n{run.story}")
        if trigger is TIMEOUT:
            worker(run).kill(signal.SIGALRM)
        else:
            trigger.fire(run, lab)
        assert_over(run, lab, trigger)
        times = asked(run, host)
        stays(lambda: asked(run, host) == times, WHILE, "a process asks still")


@ends("reboot, while it waits for the host to come back", INT, KILL)
def test_a_run_that_waits_for_a_host_that_is_down_ends(lab: Lab, trigger: Trigger) -> None:
    """A process that was under way to the host can't be confirmed, and is reported so.

    When the host is back, nothing runs on it.
    """
    host = lab["web1"]
    setting = {"options": {**OPTIONS, "kill_retry_for": 1}, "variables": {"ansible_ssh_timeout": 2}}
    with started(lab, play(REBOOT, **setting)) as run:
        until(lambda: asked(run, host) > 1, 60, lambda: f"no process asks\n{run.story}")
        host.power_off()
        try:
            trigger.fire(run, lab)
            assert run.wait(60) == trigger.status, run.story
            tasks.wait_until_nothing_is_left(run)
        finally:
            host.boot()
        assert not here(host), run.story
        assert trigger is not INT or re.search(
            r"nothing was running on any host|^web1 : (NOT CONFIRMED|left alone)",
            run.errors,
            re.MULTILINE,
        ), run.story


def test_a_reboot_goes_through(lab: Lab) -> None:
    """Its command loses its connection on purpose.

    No process is ended for that, and nothing is reported of it.
    """
    host = lab["web1"]
    told = f"{REBOOT['ansible.builtin.reboot']['reboot_command']}; exec sleep 600"
    task = {
        **REBOOT,
        "ansible.builtin.reboot": {**REBOOT["ansible.builtin.reboot"], "reboot_command": told},
    }
    with started(lab, play(task)) as run:
        until(
            (host.root / f"tmp/told-{run.row}").exists, 60, lambda: f"no task reboots\n{run.story}"
        )
        (host.root / f"var/tmp/boot-{run.row}").write_text("2\n")
        # All its processes die, and what they had open is closed.
        host.reset()
        assert run.wait(120) == 0, run.story
        assert tasks.has_left_trace(run, host, "after"), run.story
        assert "treekill" not in run.errors.lower(), run.story


@pytest.mark.parametrize("task", [WAIT_FOR], ids=["wait_for"])
def test_without_the_collection_a_module_waits_on(lab: Lab, task: dict[str, Any]) -> None:
    """The control. The interpreter is given, so that no process but the module's has its name."""
    host = lab["web1"]
    variables = {"ansible_pipelining": True, "ansible_python_interpreter": "/usr/bin/python3"}
    with started(lab, play(task, collection=False, variables=variables)) as run:
        until(
            lambda: [line for line in here(host) if "python" in line],
            40,
            lambda: f"no process waits\n{run.story}",
        )
        KILL.fire(run, lab)
        assert run.wait(20) == KILL.status, run.story
        stays(lambda: here(host), WHILE, "it has ended")
