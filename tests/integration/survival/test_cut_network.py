# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network is cut, or the controller loses its power: a host sees both alike.

Its sshd notices that, and then the tree is ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.hosts import Host, Lab
from tests.support.labs.watchful_hosts import CLIENT_ALIVE_COUNT_MAX, CLIENT_ALIVE_INTERVAL
from tests.support.run import gate
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays, until
from tests.support.trees import tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import SLACK, play_row, tidy
from tests.support.trees.table import Row, Took, assert_nothing_survived, rows
from tests.support.trees.triggers import CUT_NETWORK, LOST_POWER

#: Seconds until sshd has given a silent client up: it waits one interval more for the last answer.
NOTICED = CLIENT_ALIVE_INTERVAL * (CLIENT_ALIVE_COUNT_MAX + 1)

#: The ssh client notices it as well, so the run goes on. It can't finish the work of its host: it
#: does not try for long.
WATCHFUL_CLIENT = {
    "ssh_args": (
        "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=1 -o "
        "ServerAliveCountMax=2"
    ),
    "timeout": 2,
}
NO_RETRY = {"kill_retry_for": 0}

#: Exit status of ansible-playbook.
UNREACHABLE = 4


@rows(
    Row(LOST_POWER, Setting(hosts=1)),
    Row(
        CUT_NETWORK,
        Setting(
            hosts=1,
            pipelining=True,
            become="root, no password",
            ssh=WATCHFUL_CLIENT,
            options=NO_RETRY,
        ),
    ),
)
def test_nothing_survives_though_the_link_stays_down(
    among_watchful: Company, row: Row, took: Took
) -> None:
    """It ends within the time that sshd takes, and the grace."""
    outcome = play_row(
        among_watchful,
        row.setting,
        row.trigger,
        patience=NOTICED + row.setting.kill_timeout + SLACK,
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger)


def test_without_a_supervisor_the_tree_survives(among_watchful: Company) -> None:
    """The control: sshd ends the session, and nothing ends the tree."""
    setting = Setting(hosts=1, pipelining=True, supervise=False, kinds=tree.COOPERATIVE)
    outcome = play_row(among_watchful, setting, LOST_POWER, patience=NOTICED + 2)
    assert outcome.alive >= {*tree.COOPERATIVE}, outcome.story


@pytest.fixture
def host(watchful_lab: Lab) -> Iterator[Host]:
    """One host, whatever a test does to it."""
    one = watchful_lab["web1"]
    known = {one.name: frozenset(process.id for process in one.processes())}
    yield one
    one.run(["ip", "link", "set", "eth0", "up"])
    one.heal()
    tidy([one], known)


def test_a_network_that_comes_back_in_time_costs_nothing(watchful_lab: Lab, host: Host) -> None:
    """The task goes on, and succeeds."""
    with started(
        watchful_lab, Setting(hosts=1, pipelining=True), collection=True, script=gate.after_daemons
    ) as run:
        gate.wait_at(run, host)
        present = _task(run, host)
        host.cut()
        stays(
            lambda: _task(run, host) == present,
            CLIENT_ALIVE_INTERVAL,
            f"something has ended\n{run.story}",
        )
        host.heal()
        stays(lambda: _task(run, host) == present, NOTICED + 1, f"something has ended\n{run.story}")
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story


def _task(run: Run, host: Host) -> set[object]:
    # The process that waits at the gate is the shell of the task.
    return {
        process.id for process in host.processes(rf"^tk-[a-z-]+-{run.row} |/tmp/gate-{run.row}")
    }


# A task that takes its own link down, and brings it up again, as in the set-up of a network.


def own_link(row: str) -> str:
    """Return a play whose task works between the two for as long as the test wants.

    It can't send a word to any process meanwhile. It reports when it has done its work.
    """
    return f"ip link set eth0 down; {gate.script(row)}; ip link set eth0 up; touch /tmp/done-{row}"


@contextmanager
def cut_off_by_itself(
    watchful_lab: Lab, host: Host, on_disconnect: str, pipelining: bool = True
) -> Iterator[Run]:
    """Such a run, when the session of its task has ended while the link was down."""
    options = {"on_disconnect": on_disconnect, **NO_RETRY}
    setting = Setting(
        hosts=1,
        pipelining=pipelining,
        become="root, no password",
        ssh=WATCHFUL_CLIENT,
        options=options,
    )
    with started(watchful_lab, setting, collection=True, script=own_link) as run:
        gate.wait_at(run, host)
        until(
            lambda: not host.processes("^sshd: ansible", system=True),
            NOTICED + SLACK,
            lambda: f"the session does not end\n{run.story}",
        )
        yield run
        # The host could not be reached in the middle of its task: core reports no more than that.
        assert run.wait(40) == UNREACHABLE, run.story


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "tty"])
def test_with_on_disconnect_keep_it_finishes_its_work(
    watchful_lab: Lab, host: Host, pipelining: bool
) -> None:
    """It lost the session that it ran in, and perhaps its terminal."""
    with cut_off_by_itself(watchful_lab, host, "keep", pipelining) as run:
        stays(lambda: _task(run, host), 2.0, f"it was ended\n{run.story}")
        gate.open_gate(run, host)
        until(
            (host.root / f"tmp/done-{run.row}").exists,
            10,
            lambda: f"it does not finish\n{run.story}",
        )
        until(lambda: not _task(run, host), 10, lambda: f"it does not end\n{run.story}")


def test_without_it_it_is_ended(watchful_lab: Lab, host: Host) -> None:
    """The control."""
    with cut_off_by_itself(watchful_lab, host, "kill") as run:
        until(lambda: not _task(run, host), SLACK, lambda: f"it goes on\n{run.story}")
        assert not (host.root / f"tmp/done-{run.row}").exists(), run.story
