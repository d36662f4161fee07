# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole controller is gone while asynchronous jobs are running.

Between two polls a job has no channel that could break. The pulse of its run is that channel.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faults import guardian
from tests.support.hosts import Host, Lab, ProcessId
from tests.support.labs.watchful_hosts import CLIENT_ALIVE_COUNT_MAX, CLIENT_ALIVE_INTERVAL
from tests.support.run import controller, gate
from tests.support.run.play import PARAMIKO, Setting
from tests.support.run.polls import wait_for_second_poll
from tests.support.run.relays import shared, through_relay
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays, until
from tests.support.trees import tree
from tests.support.trees.bystanders import Company
from tests.support.trees.pulses import (
    GRACE,
    PULSE,
    attached,
    wait_for_attached,
    wait_for_pulse,
)
from tests.support.trees.rows import SLACK, play_row
from tests.support.trees.table import Row, Took, assert_nothing_survived, rest, rows
from tests.support.trees.triggers import LOST_CONTROLLER, LOST_POWER

POLLED = {"async": 3600, "poll": 1}
LEFT = {"async": 3600, "poll": 0}
KILL_ASYNC = {"kill_async": True}

#: Keeps a run going after the task that has left a job.
GOES_ON: dict[str, Any] = {"name": "Go on", "ansible.builtin.pause": {"minutes": 60}}

#: Seconds until sshd has given a silent client up.
NOTICED = CLIENT_ALIVE_INTERVAL * (CLIENT_ALIVE_COUNT_MAX + 1)

#: What an ssh client of a pulse has on its command line, and no other one.
OF_A_PULSE = "there is no Python 3.6"


@rows(
    Row(LOST_CONTROLLER, Setting(hosts=2, keywords=POLLED)),
    # No worker waits for it. It has a pulse as long as the run goes on.
    Row(
        LOST_CONTROLLER,
        Setting(hosts=1, keywords=LEFT, after=[GOES_ON], options=KILL_ASYNC),
        "poll 0, kill_async",
    ),
    Row(
        LOST_CONTROLLER,
        Setting(
            hosts=1,
            become="another user",
            pipelining=True,
            kinds=tree.WITHOUT_SUDO,
            keywords=POLLED,
        ),
    ),
    others=(
        Row(LOST_CONTROLLER, Setting(hosts=1, pipelining=True, keywords=POLLED)),
        Row(LOST_CONTROLLER, Setting(hosts=1, become="root, no password", keywords=POLLED)),
        Row(LOST_CONTROLLER, Setting(hosts=1, connection=PARAMIKO, keywords=POLLED)),
        Row(
            LOST_CONTROLLER,
            Setting(hosts=1, connection=PARAMIKO, become="root, by password", keywords=POLLED),
        ),
    ),
)
def test_nothing_survives_of_a_job(among: Company, row: Row, took: Took) -> None:
    """The hosts see the end of the pulse, and no other one comes."""
    outcome = play_row(
        among,
        row.setting,
        row.trigger,
        when=wait_for_pulse,
        patience=GRACE + row.setting.kill_timeout + SLACK,
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger)


@pytest.mark.parametrize("become", [pytest.param("no", marks=rest), "root, no password"])
def test_nothing_survives_a_cut_network(among_watchful: Company, become: str, took: Took) -> None:
    """The sshd of the host ends the session of a client that does not answer, and so the pulse."""
    setting = Setting(hosts=1, become=become, keywords=POLLED)
    outcome = play_row(
        among_watchful,
        setting,
        LOST_POWER,
        when=wait_for_pulse,
        patience=NOTICED + GRACE + setting.kill_timeout + SLACK,
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, LOST_POWER)


# The controls.


def test_a_job_without_a_pulse_survives(among: Company) -> None:
    """So it was without pulses."""
    setting = Setting(
        hosts=1, kinds=tree.COOPERATIVE, keywords=POLLED, options={"on_disconnect": "keep"}
    )
    outcome = play_row(among, setting, LOST_CONTROLLER, patience=GRACE)
    assert outcome.alive >= {*tree.COOPERATIVE}, outcome.story


# Runs that go on, and keep their jobs.


def task_of(run: Run, host: Host) -> set[object]:
    """Return the processes of a job that waits at its gate."""
    return {
        process.id for process in host.processes(rf"^tk-[a-z-]+-{run.row} |/tmp/gate-{run.row}")
    }


def keeper_of(run: Run) -> ProcessId:
    """Return the process on the controller that keeps the pulse: the parent of its client."""
    return ProcessId.of(_client_of(run).ppid)


def _clients_of(run: Run) -> list[controller.Local]:
    return [process for process in controller.processes(run.row) if process.is_ssh]


def _client_of(run: Run) -> controller.Local:
    clients = [process for process in _clients_of(run) if OF_A_PULSE in process.command]
    assert len(clients) == 1, f"not one client of a pulse: {[*map(str, clients)]}"
    return clients[0]


def guardian_of(run: Run) -> ProcessId:
    """Return the process that has started the pulse."""
    (found,) = guardian.listeners(next(run.directory.glob("treekill-*/socket")))
    return found


def kill_the_guardian(run: Run) -> None:
    """End the process that has started the pulse."""
    guardian_of(run).kill()


def kill_the_keeper(run: Run) -> None:
    """End the process that keeps the pulse."""
    keeper_of(run).kill()


def kill_its_client(run: Run) -> None:
    """End the ssh client of the pulse."""
    _client_of(run).id.kill()


def kill_the_masters(run: Run) -> None:
    """End the connection that all share."""
    for master in controller.masters(run.directory):
        master.kill()


def stop_the_guardian(run: Run) -> None:
    """Stop it, and break the connection."""
    guardian_of(run).kill(signal.SIGSTOP)
    kill_the_masters(run)


@pytest.mark.parametrize(
    "fault",
    [
        kill_the_guardian,
        kill_the_keeper,
        stop_the_guardian,
        pytest.param(kill_its_client, marks=rest),
        pytest.param(kill_the_masters, marks=rest),
    ],
    ids=lambda fault: fault.__name__,
)
def test_a_run_that_goes_on_keeps_its_jobs(tidy_lab: Lab, fault: Callable[[Run], None]) -> None:
    """One part is lost. Nothing has interrupted the run."""
    host = tidy_lab["web1"]
    setting = Setting(hosts=1, keywords=POLLED)
    with started(tidy_lab, setting, collection=True, script=gate.after_daemons) as run:
        gate.wait_at(run, host)
        wait_for_attached(run, host)
        present = task_of(run, host)
        first = guardian_of(run)
        fault(run)
        stays(lambda: task_of(run, host) == present, GRACE, f"something has ended\n{run.story}")
        wait_for_attached(run, host)
        if first.alive():
            first.kill(signal.SIGCONT)
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story
        assert "changed: [web1]" in run.output.partition("Run a script")[2], run.story
        until(lambda: not host.processes(PULSE), 10, lambda: f"a pulse is left\n{run.story}")


def kill_the_keeper_without_a_client(run: Run) -> None:
    """End the process that keeps a pulse: a child of the guardian, with a connection."""
    parent = guardian_of(run).pid
    keepers = [
        one.id
        for one in controller.processes(run.row)
        if one.ppid == parent and controller.has_connection(one.id.pid)
    ]
    assert len(keepers) == 1, f"not one child of the guardian has a connection: {keepers}"
    keepers[0].kill()


@pytest.mark.parametrize(
    "fault",
    [pytest.param(kill_the_guardian, marks=rest), kill_the_keeper_without_a_client],
    ids=lambda fault: fault.__name__,
)
def test_a_run_by_paramiko_that_goes_on_keeps_its_jobs(
    tidy_lab: Lab, fault: Callable[[Run], None]
) -> None:
    """The pulse has a connection of its own, inside the process that keeps it."""
    host = tidy_lab["web1"]
    setting = Setting(hosts=1, connection=PARAMIKO, keywords=POLLED)
    with started(tidy_lab, setting, collection=True, script=gate.after_daemons) as run:
        gate.wait_at(run, host)
        wait_for_attached(run, host)
        present = task_of(run, host)
        fault(run)
        stays(lambda: task_of(run, host) == present, GRACE, f"something has ended\n{run.story}")
        wait_for_attached(run, host)
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story
        assert "changed: [web1]" in run.output.partition("Run a script")[2], run.story
        assert "NOT PROTECTED" not in run.errors, run.story
        until(lambda: not host.processes(PULSE), 10, lambda: f"a pulse is left\n{run.story}")


def test_a_job_waits_for_a_slow_login(tidy_lab: Lab, tmp_path: Path) -> None:
    """The first client of the pulse shares a connection, and takes no time. The next one does.

    That one makes a connection, which others share. It outlives the pulse.
    """
    host = tidy_lab["web1"]
    setting = Setting(
        hosts=1,
        pipelining=True,
        keywords={**POLLED, "poll": 20},
        variables={host.name: through_relay(tmp_path, seconds=5.0)},
    )
    with started(tidy_lab, setting, collection=True, script=gate.after_daemons) as run:
        gate.wait_at(run, host)
        wait_for_attached(run, host)
        present = task_of(run, host)
        # Core takes the loss of a command for that of the host. The next poll comes 20 s after one.
        until(lambda: _clients_of(run) != [_client_of(run)], 40, "no command is running")
        until(lambda: _clients_of(run) == [_client_of(run)], 20, "a command is always running")
        kill_the_masters(run)
        until(lambda: not attached(host), 10, lambda: f"the pulse goes on\n{run.story}")
        wait_for_attached(run, host)
        assert task_of(run, host) == present, run.story
        with shared(run) as others:
            gate.open_gate(run, host)
            assert run.wait(60) == 0, run.story
            assert others.answers(), run.story


def test_a_task_does_not_wait_for_the_client_of_a_pulse(tidy_lab: Lab, tmp_path: Path) -> None:
    """Connections are shared, and end with their last client: the first one waits for all others.

    The client of the pulse begins when that of the task has logged in.
    """
    host, client = tidy_lab["web1"], tmp_path / "ssh"
    shared = f"-o ControlMaster=auto -o ControlPath={tmp_path}/shared"
    client.write_text(LATE.format(marker=tmp_path / "shared", pulse=OF_A_PULSE))
    client.chmod(0o755)
    setting = Setting(hosts=1, keywords=POLLED, ssh={"ssh_executable": client, "ssh_args": shared})
    with started(tidy_lab, setting, collection=True, script=gate.after_daemons) as run:
        gate.wait_at(run, host)
        wait_for_attached(run, host)
        wait_for_second_poll(run, host)
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story


#: An ssh whose client of a pulse begins as soon as there is a connection to share.
LATE = """#!/bin/sh
case "$*" in *"{pulse}"*)
    n=0; while [ ! -S "{marker}" ] && [ $n -lt 100 ]; do sleep 0.02; n=$((n+1)); done;;
esac
exec ssh "$@"
"""


def test_a_cut_that_heals_in_time_costs_nothing(watchful_lab: Lab) -> None:
    """The sshd of the host has not given the client up."""
    host = watchful_lab["web1"]
    with started(
        watchful_lab,
        Setting(hosts=1, keywords=POLLED),
        collection=True,
        script=gate.after_daemons,
    ) as run:
        gate.wait_at(run, host)
        wait_for_attached(run, host)
        present = task_of(run, host)
        host.cut()
        stays(lambda: task_of(run, host) == present, CLIENT_ALIVE_INTERVAL, "something has ended")
        host.heal()
        stays(lambda: task_of(run, host) == present, GRACE, f"something has ended\n{run.story}")
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story


def test_a_job_of_another_run_lives_on(tidy_lab: Lab) -> None:
    """Two runs have jobs on one host, as the same user. The controller of one is killed whole."""
    host = tidy_lab["web1"]
    setting = Setting(hosts=1, keywords=POLLED)
    with (
        started(tidy_lab, setting, collection=True, script=gate.after_daemons) as other,
        started(
            tidy_lab,
            setting,
            collection=True,
            script=gate.after_daemons,
            before=LOST_CONTROLLER.before,
        ) as run,
    ):
        for one in (other, run):
            gate.wait_at(one, host)
        wait_for_attached(run, host, 2)
        present = task_of(other, host)
        LOST_CONTROLLER.fire(run, tidy_lab)
        until(lambda: not task_of(run, host), GRACE + SLACK, lambda: f"it lives\n{run.story}")
        assert task_of(other, host) == present, other.story
        gate.open_gate(other, host)
        assert other.wait(40) == 0, other.story


def test_a_run_that_ends_leaves_the_jobs_that_it_wants_to_leave(tidy_lab: Lab) -> None:
    """Its main process is the first one of its container: all that is there ends with it."""
    host = tidy_lab["web1"]
    setting = Setting(
        hosts=1,
        keywords=LEFT,
        options=KILL_ASYNC,
        after=[{"name": "Wait for the job", "ansible.builtin.pause": {"seconds": 5}}],
    )
    with started(
        tidy_lab, setting, collection=True, script=gate.after_daemons, before=LOST_CONTROLLER.before
    ) as run:
        gate.wait_at(run, host)
        wait_for_attached(run, host)
        present = task_of(run, host)
        assert run.wait(40) == 0, run.story
        until(lambda: not host.processes(PULSE), 10, lambda: f"a pulse is left\n{run.story}")
        stays(lambda: task_of(run, host) == present, GRACE, f"something has ended\n{run.story}")


REFUSES_ONE = f"""#!/bin/sh
case "$*" in *ConnectTimeout=9*"{OF_A_PULSE}"*) exit 255; esac
exec ssh "$@"
"""


def test_a_job_with_the_pulse_of_another_task_stays_after_the_run(
    tidy_lab: Lab, tmp_path: Path
) -> None:
    """Two tasks reach the host in two ways, and the second one gets no pulse of its own.

    Its supervisor takes the pulse of the first one.
    """
    host, client = tidy_lab["web1"], tmp_path / "ssh"
    client.write_text(REFUSES_ONE)
    client.chmod(0o755)
    second = {
        "name": "Leave another job",
        "ansible.builtin.shell": "exec -a tk-second-{{ row }} sleep 600",
        "args": {"executable": "/bin/bash"},
        "vars": {"ansible_timeout": 9},
        **LEFT,
    }
    wait = {"name": "Wait for both", "ansible.builtin.shell": "{{ lookup('file', 'wait.sh') }}"}
    setting = Setting(
        hosts=1,
        keywords=LEFT,
        options=KILL_ASYNC,
        after=[second, wait],
        ssh={"ssh_executable": client},
    )
    with started(tidy_lab, setting, collection=True, script=gate.after_daemons) as run:
        (run.directory / "wait.sh").write_text(gate.script(run.row, "wait"))
        gate.wait_at(run, host, "wait")
        wait_for_attached(run, host, 2)
        until(lambda: "NOT PROTECTED" in run.errors, 30, "the second task has a pulse of its own")
        present = _jobs_of(run, host)
        gate.open_gate(run, host, "wait")
        assert run.wait(40) == 0, run.story
        until(lambda: not host.processes(PULSE), 10, lambda: f"a pulse is left\n{run.story}")
        stays(lambda: _jobs_of(run, host) == present, GRACE, f"something has ended\n{run.story}")


def _jobs_of(run: Run, host: Host) -> set[object]:
    """Return the processes of both jobs."""
    return {process.id for process in host.processes(rf"^tk-[a-z-]+-{run.row} ")}


def test_a_task_without_a_job_has_no_pulse(tidy_lab: Lab) -> None:
    """It costs nothing where it is not needed."""
    host = tidy_lab["web1"]
    with started(
        tidy_lab, Setting(hosts=1, pipelining=True), collection=True, script=gate.after_daemons
    ) as run:
        gate.wait_at(run, host)
        stays(lambda: not host.processes(PULSE), 2.0, "there is a pulse")


REFUSES = f"""#!/bin/sh
case "$*" in *"{OF_A_PULSE}"*) echo "no session for it" >&2; exit 255; esac
exec ssh "$@"
"""


def test_a_job_that_can_have_no_pulse_is_named(tidy_lab: Lab, tmp_path: Path) -> None:
    """Its host refuses one more session. The job runs, and the user is warned meanwhile."""
    host, client = tidy_lab["web1"], tmp_path / "ssh"
    client.write_text(REFUSES)
    client.chmod(0o755)
    with started(
        tidy_lab,
        Setting(hosts=1, keywords=POLLED, ssh={"ssh_executable": client}),
        collection=True,
        script=gate.after_daemons,
    ) as run:
        gate.wait_at(run, host)
        until(
            lambda: "web1 is NOT PROTECTED when the controller is gone" in run.errors,
            30,
            lambda: f"no warning\n{run.story}",
        )
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story
