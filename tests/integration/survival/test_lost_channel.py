# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A channel to a host that is lost while the run goes on.

The tree behind it is ended, and no other. What only looks like a loss does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import controller, gate
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays, until
from tests.support.trees import census, tree
from tests.support.trees.bystanders import Company
from tests.support.trees.table import Row, Took, nothing_survives, rows
from tests.support.trees.triggers import LOST_CLIENT, LOST_MASTER, Trigger

WHILE = 1.0  #: seconds for which nothing may happen


@rows(
    Row(LOST_CLIENT, Setting(hosts=1)),
    Row(LOST_CLIENT, Setting(hosts=1, pipelining=True, become="root, no password")),
    Row(LOST_MASTER, Setting(hosts=1, pipelining=True)),
)
def test_nothing_survives(among: Company, row: Row, took: Took) -> None:
    """The task fails, or its host becomes unreachable in the middle of it.

    There is no interruption: the run ends by itself.
    """
    nothing_survives(among, row, took)


@pytest.mark.parametrize("trigger", [LOST_CLIENT, LOST_MASTER], ids=lambda trigger: trigger.name)
def test_without_the_collection_the_tree_survives(lab: Lab, trigger: Trigger) -> None:
    """The control."""
    remains = play_control(
        lab, Setting(hosts=1, pipelining=True, kinds=tree.COOPERATIVE), trigger, "R"
    )
    assert remains.survivors >= {*tree.COOPERATIVE}, remains.story
    assert remains.status == trigger.status, remains.story


def labelled(run: Run, host: Host) -> set[object]:
    """Return the processes on that host that have the task's labels."""
    return {process.id for process in host.processes(rf"^tk-[a-z-]+-{run.row} ")}


def test_the_same_task_on_another_host_goes_on(tidy_lab: Lab) -> None:
    """One of two clients is killed.

    The other host's work for that task has nothing to do with it.
    """
    lost, other = tidy_lab["web1"], tidy_lab["web2"]
    known = frozenset(process.id for process in lost.processes())
    with started(
        tidy_lab, Setting(hosts=2, pipelining=True), collection=True, script=gate.after_daemons
    ) as run:
        for host in (lost, other):
            gate.wait_at(run, host)
        theirs = labelled(run, other)
        controller.client_of(run.row, lost.address).kill()
        until(
            lambda: not census.of_tree(lost, known),
            10,
            lambda: f"alive: {census.of_tree(lost, known)}\n{run.story}",
        )
        stays(
            lambda: labelled(run, other) == theirs,
            WHILE,
            f"a process on the other host has ended\n{run.story}",
        )
        gate.open_gate(run, other)
        assert run.wait(40) == LOST_CLIENT.status, run.story
        assert re.search(r"^changed: \[web2\]", run.output, re.MULTILINE), run.story
        assert labelled(run, other) == theirs


# What is no loss.


def reload_sshd(host: Host) -> None:
    """Reload it: it executes itself again, in its process."""
    host.run(["sh", "-c", "kill -HUP $(cat /run/sshd.pid)"])


def restart_sshd(host: Host) -> None:
    """Restart it: the listener ends, and another one is started.

    As with systemd, the processes of sessions stay.
    """
    host.run(
        [
            "sh",
            "-c",
            (
                "pid=$(cat /run/sshd.pid); kill $pid; while kill -0 $pid; do :; done 2> /dev/null; "
                "exec /usr/sbin/sshd -E /var/log/sshd.log"
            ),
        ]
    )


@pytest.mark.parametrize(
    ("renew", "pipelining"),
    [(reload_sshd, False), (restart_sshd, True)],
    ids=["reloaded, tty", "restarted, pipelining"],
)
def test_when_sshd_is_restarted_nothing_is_ended_and_the_task_goes_on(
    tidy_lab: Lab, renew: Callable[[Host], None], pipelining: bool
) -> None:
    """Sessions live on when their listener does not."""
    host = tidy_lab["web1"]
    with started(
        tidy_lab,
        Setting(hosts=1, pipelining=pipelining),
        collection=True,
        script=gate.after_daemons,
    ) as run:
        gate.wait_at(run, host)
        present = labelled(run, host)
        assert len(present) == len(gate.DAEMONS), present
        lines = host.sshd_log.read_text().count("Server listening")
        renew(host)
        until(
            lambda: host.sshd_log.read_text().count("Server listening") > lines,
            10,
            "sshd does not come back",
        )
        stays(lambda: labelled(run, host) == present, WHILE, f"a process has ended\n{run.story}")
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story
        stays(lambda: labelled(run, host) == present, WHILE, f"a process has ended\n{run.story}")
