# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose ssh server sends nothing when the run is interrupted.

The recap is right about whether anything can have begun there.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping

import pytest

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import controller, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.triggers import CTRL_C, INT, LOST_MASTER, TERM, Trigger

NOT_BEGUN = r"^web1 +: nothing had begun \(task: {}\): its command had not been sent\r?$"

#: The kill order would wait for it.
PATIENT: Mapping[str, Mapping[str, object]] = {
    "defaults": {"timeout": 30},
    "ssh_connection": {"retries": 2},
}

IMPATIENT: Mapping[str, Mapping[str, object]] = {
    "defaults": {"timeout": 2},
    "ssh_connection": {"retries": 2, "pipelining": True},
}


class Server:
    """The ssh server of a host, which accepts connections.

    While it is stopped, the kernel does that for it.
    """

    def __init__(self, host: Host) -> None:
        listeners = [
            process
            for process in host.processes("^(/usr/sbin/)?sshd", system=True)
            if process.ppid == 1 or "listener" in process.command
        ]
        assert listeners, f"no server on {host.name}"
        self._id: ProcessId = listeners[0].id

    def stop(self) -> None:
        self._id.kill(signal.SIGSTOP)

    def go_on(self) -> None:
        self._id.kill(signal.SIGCONT)


@pytest.fixture
def server(web1: Host) -> Iterator[Server]:
    one = Server(web1)
    yield one
    one.go_on()


def clients(run: Run, host: Host) -> list[ProcessId]:
    return [
        process.id
        for process in controller.processes(run.row)
        if process.is_ssh and host.address in process.command.split()
    ]


@pytest.mark.parametrize("trigger", [INT, TERM, CTRL_C], ids=lambda trigger: str(trigger.name))
def test_where_the_first_client_waits_nothing_had_begun(
    lab: Lab, web1: Host, server: Server, trigger: Trigger
) -> None:
    server.stop()
    with started(lab, Play([tasks.trace()], sections=PATIENT, terminal=trigger.terminal)) as run:
        until(lambda: clients(run, web1), 30, lambda: f"no client\n{run.story}")
        until(lambda: _is_connected(web1), 30, lambda: f"no connection\n{run.story}")
        trigger.fire(run, lab)
        assert run.wait(15) == trigger.status, run.story
        assert re.search(NOT_BEGUN.format("Leave a trace, ran"), run.errors, re.MULTILINE), (
            run.story
        )
        assert "To end what is left" not in run.errors, run.story
        tasks.wait_until_nothing_is_left(run)
        server.go_on()
        assert not tasks.has_left_trace(run, web1)


def test_where_a_second_client_waits_the_first_one_may_have_begun_something(
    lab: Lab, web1: Host, server: Server
) -> None:
    """It has.

    Nothing is ended there, since no login is possible. A report that nothing had begun would be
    false.
    """
    play = Play(
        [tasks.grow()],
        options={"kill_timeout": 1, "kill_retry_for": 0, "supervise": False},
        sections=IMPATIENT,
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        (first,) = clients(run, web1)
        server.stop()
        LOST_MASTER.fire(run, lab)
        until(
            lambda: [one for one in clients(run, web1) if one != first],
            30,
            lambda: f"no second client\n{run.story}",
        )
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert re.search(
            r"^web1 +: NOT CONFIRMED \(task: Grow a tree\)", run.errors, re.MULTILINE
        ), run.story
        assert "nothing had begun" not in run.errors, run.story
        assert tasks.alive(run, web1), run.story
        tasks.wait_until_nothing_is_left(run)


def test_where_the_poll_of_a_job_waits_the_job_is_not_forgotten(
    lab: Lab, web1: Host, server: Server
) -> None:
    play = Play(
        [tasks.grow(**{"async": 3600, "poll": 1})],
        # Without a pulse: its end would end the job before it is looked for.
        options={"kill_timeout": 1, "kill_retry_for": 0, "on_disconnect": "keep"},
        sections=IMPATIENT,
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        server.stop()
        LOST_MASTER.fire(run, lab)
        until(
            lambda: _is_connected(web1) and clients(run, web1),
            30,
            lambda: f"no poll waits\n{run.story}",
        )
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert re.search(
            r"^web1 +: NOT CONFIRMED \(task: Grow a tree\)", run.errors, re.MULTILINE
        ), run.story
        assert "nothing had begun" not in run.errors, run.story
        assert tasks.alive(run, web1), run.story
        tasks.wait_until_nothing_is_left(run)


def test_a_command_over_a_master_that_is_there_is_ended_as_ever(
    lab: Lab, web1: Host, server: Server
) -> None:
    """New connections wait, which the master does not need."""
    play = Play([tasks.trace(), tasks.grow()], options={"kill_timeout": 1})
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        server.stop()
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        tasks.wait_until_gone(run, [web1])
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )
        assert "nothing had begun" not in run.errors, run.story
        tasks.wait_until_nothing_is_left(run)


def _is_connected(host: Host) -> bool:
    """Whether a process here has a connection to its port 22."""
    remote = bytes(map(int, host.address.split(".")))[::-1].hex().upper()
    with open("/proc/net/tcp") as rows:
        return any(row.split()[2] == f"{remote}:0016" and row.split()[3] == "01" for row in rows)
