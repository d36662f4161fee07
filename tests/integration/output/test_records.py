# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of an interrupted run and the journal.

They are written also if no process is left to print a recap. There may be no room for either.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import Outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._records import (
    journal as journal_format,
)

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.triggers import INT, KILL, LOST_CONTROLLER, Trigger

from .records import (
    REPORT,
    endings,
    entry_of,
    journal_of,
    report_of,
    wait_for_state,
    wait_for_whole_report,
)

PLAY = Play(
    [tasks.grow()],
    options={"kill_timeout": 1, "report_path": REPORT},
    kinds=["background", "setsid", "ignores-signals"],
)


@pytest.fixture(autouse=True)
def _heal(lab: Lab) -> Iterator[None]:
    yield
    for host in lab:
        host.heal()


def leases_on(run: Run, host: Host) -> set[str]:
    """Return the leases that the processes of the run carry there."""
    cookies = {
        (process.environ or {}).get("TREEKILL", "")
        for process in host.processes(f"tk-setsid-{run.row}")
    } - {""}
    return {cookie.split("/")[1] for cookie in cookies}


@pytest.mark.parametrize("trigger", [INT, KILL], ids=lambda trigger: trigger.name)
def test_report_and_journal_tell_what_was_ended_also_when_the_main_process_is_dead(
    lab: Lab, web1: Host, trigger: Trigger
) -> None:
    with started(lab, PLAY) as run:
        tasks.wait_for_tree(run, [web1])
        entry = entry_of(run)
        assert (entry.state, entry.open_hosts(), entry.head.pid) == (
            "running",
            {},
            run.process.pid,
        ), run.story
        assert (entry.head.user, entry.head.program, entry.head.playbooks) == (
            "root",
            "ansible-playbook",
            (str(run.directory / "playbook.yml"),),
        )
        assert set(entry.leases) == leases_on(run, web1)
        trigger.fire(run, lab)
        assert run.wait(60) == trigger.status, run.story
        report = wait_for_whole_report(run)
        ends = endings(report)["web1"]
        for kind, end in (("background", "gone TERM"), ("ignores-signals", "gone KILL")):
            assert f"{end} tk-{kind}-{run.row} 7200" in ends, f"{ends}\n{run.story}"
        assert report["cause"] == ("SIGINT" if trigger is INT else "the main process is gone")
        entry = wait_for_state(run, "interrupted")
        (lease,) = entry.leases.values()
        assert (lease.host, lease.outcome, lease.ended, lease.survivors) == (
            "web1",
            Outcome.CONFIRMED,
            len(ends),
            0,
        )
        assert entry.open_hosts() == {}
        assert (entry.run, entry.cause) == (report["run"], report["cause"])
        tasks.wait_until_nothing_is_left(run)
        assert {path.stat().st_mode & 0o777 for path in journal_of(run).iterdir()} == {0o600}


def test_a_lost_controller_leaves_the_hosts_and_leases_to_sweep(lab: Lab, web1: Host) -> None:
    """The journal is not made at the end: no process is there for that."""
    play = dataclasses.replace(PLAY, before=LOST_CONTROLLER.before, hosts=("web1", "web2"))
    with started(lab, play) as run:
        tasks.wait_for_tree(run, list(lab))
        expected = {host.name: sorted(leases_on(run, host)) for host in lab}
        LOST_CONTROLLER.fire(run, lab)
        assert run.wait(60) == LOST_CONTROLLER.status, run.story
        entry = wait_for_state(run, "dead")
        assert entry.open_hosts() == expected, run.story
        for host in lab:
            journal_format.mark_swept(
                str(journal_of(run)), entry.run, host.name, expected[host.name]
            )
        assert entry_of(run).open_hosts() == {}
        assert not [*run.directory.glob("report-*")], run.story


def test_a_run_that_comes_to_its_own_end_is_in_the_journal_and_has_no_report(
    lab: Lab, web1: Host
) -> None:
    with started(lab, dataclasses.replace(PLAY, tasks=[tasks.trace()])) as run:
        assert run.wait(60) == 0, run.story
        entry = wait_for_state(run, "finished")
        assert (entry.leases, entry.hosts, entry.cause) == ({}, {"web1"}, "")
        assert not [*run.directory.glob("report-*")], run.story
        assert [path.name for path in journal_of(run).iterdir()] == [f"{entry.run}.jsonl"]


def test_what_comes_after_the_main_process_has_left_reaches_both(lab: Lab, web1: Host) -> None:
    """The guardian alone tries a host again that was down."""
    options = {**PLAY.options, "kill_retry_for": 60, "supervise": False}
    play = dataclasses.replace(
        PLAY,
        options=options,
        sections={"ssh_connection": {"ssh_args": "-o ControlMaster=no -o ConnectTimeout=2"}},
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        web1.cut()
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert [(tree["outcome"], tree["report"]) for tree in report_of(run)["trees"]] == [
            ("trying", None)
        ], run.story
        assert not report_of(run)["complete"]
        assert entry_of(run).state == "running"
        web1.heal()
        tasks.wait_until_gone(run, [web1], 60)
        assert (
            f"gone TERM tk-setsid-{run.row} 7200" in endings(wait_for_whole_report(run))["web1"]
        ), run.story
        assert wait_for_state(run, "interrupted").open_hosts() == {}


def test_a_host_that_was_never_reached_is_left_to_sweep(lab: Lab, web1: Host) -> None:
    options = {**PLAY.options, "kill_retry_for": 0, "supervise": False}
    play = dataclasses.replace(
        PLAY,
        options=options,
        sections={"ssh_connection": {"ssh_args": "-o ControlMaster=no -o ConnectTimeout=2"}},
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        leases = leases_on(run, web1)
        web1.cut()
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert wait_for_state(run, "interrupted").open_hosts() == {"web1": [*leases]}
        assert [tree["outcome"] for tree in wait_for_whole_report(run)["trees"]] == ["unreachable"]


# No secrets.

SECRET = "hunter2-sesame"


@pytest.mark.parametrize("hidden", [True, False], ids=["no_log", "control"])
def test_a_task_with_no_log_shows_no_arguments_anywhere(lab: Lab, web1: Host, hidden: bool) -> None:
    """They are not in the recap, the report, the journal, the log, or on the screen with -vvv.

    The control: without no_log they are there.
    """
    script = (
        f': --note {SECRET}; bash -c \'trap "" TERM; : > /tmp/ready-{{{{ row }}}}; while :; do '
        f"sleep 7200; done' {{{{ row }}}}; true"
    )
    task = {"name": "Log in", "ansible.builtin.shell": script, "no_log": hidden}
    play = dataclasses.replace(
        PLAY, tasks=[task], arguments=["-vvv"], sections={"defaults": {"log_path": "ansible.log"}}
    )
    with started(lab, play) as run:
        until(
            (web1.root / f"tmp/ready-{run.row}").exists, 40, lambda: f"it does not run\n{run.story}"
        )
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        wait_for_whole_report(run)
        wait_for_state(run, "interrupted")
        assert re.search(r"^TASK \[Log in\] on web1\n.*", run.errors, re.MULTILINE), run.story
        places = {
            "screen": run.output + run.errors,
            "log": (run.directory / "ansible.log").read_text(),
        }
        places["report"] = next(run.directory.glob("report-*")).read_text()
        places["journal"] = next(journal_of(run).glob("*.jsonl")).read_text()
        found = {name for name, text in places.items() if SECRET in text}
        assert found == (set() if hidden else {"screen", "report"}), f"{found}\n{run.story}"
        assert "bash" in places["report"]


def test_the_journal_names_no_task_and_no_command(lab: Lab, web1: Host) -> None:
    with started(lab, PLAY) as run:
        tasks.wait_for_tree(run, [web1])
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        wait_for_state(run, "interrupted")
        text = next(journal_of(run).glob("*.jsonl")).read_text()
        assert "Grow a tree" not in text
        assert "sleep" not in text
        assert "tk-background" not in text


# No room.


def interrupt_with_a_warning(run: Run, lab: Lab, host: Host, *warnings: str) -> None:
    """Interrupt it: all is ended, the recap has that, and each of the warnings comes once."""
    tasks.wait_for_tree(run, [host])
    INT.fire(run, lab)
    assert run.wait(60) == INT.status, run.story
    tasks.wait_until_gone(run, [host])
    assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), run.story
    said = tasks.said(run)
    for warning in warnings:
        assert len(re.findall(warning, said)) == 1, run.story
    assert said.count("can't be written") == len(warnings), run.story
    tasks.wait_until_nothing_is_left(run)


def test_an_unwritable_directory_costs_one_warning_and_the_kill_goes_on(
    lab: Lab, web1: Host
) -> None:
    # Not by its mode: root may write everywhere. Below a file there is no directory.
    options = {
        **PLAY.options,
        "journal_path": "ansible.cfg/journal",
        "report_path": "ansible.cfg/report.json",
    }
    with started(lab, dataclasses.replace(PLAY, options=options)) as run:
        interrupt_with_a_warning(
            run,
            lab,
            web1,
            "the journal of this run can't be written to [^:]*: Not a directory",
            "the report of this run can't be written",
        )


@pytest.mark.parametrize("from_the_start", [True, False], ids=["from the start", "while it runs"])
def test_a_full_disk_costs_one_warning_and_the_kill_goes_on(
    lab: Lab, web1: Host, from_the_start: bool
) -> None:
    mount = "mkdir small; mount -t tmpfs -o size=64k tmpfs small; "
    fill = "cat /dev/zero > small/filler 2>/dev/null; " if from_the_start else ""
    before = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-uc",
        f'{mount}{fill}exec "$@"',
        "small-disk",
    ]
    options = {**PLAY.options, "journal_path": "small/journal", "report_path": "small/report.json"}
    with started(lab, dataclasses.replace(PLAY, options=options, before=before)) as run:
        tasks.wait_for_tree(run, [web1])
        if not from_the_start:
            _fill(Path(f"/proc/{run.process.pid}/root{run.directory}/small"))
        # The last records of the journal still fit into the block that it has.
        journal = (
            ["the journal of this run can't be written to [^:]*: No space"]
            if from_the_start
            else []
        )
        interrupt_with_a_warning(
            run, lab, web1, *journal, "the report of this run can't be written to [^:]*: No space"
        )


def _fill(directory: Path) -> None:
    with (
        pytest.raises(OSError, match="No space"),
        open(directory / "filler", "wb", buffering=0) as filler,
    ):
        while True:
            filler.write(b"x" * 512)


def test_without_a_journal_none_is_written(lab: Lab, web1: Host) -> None:
    with started(
        lab, dataclasses.replace(PLAY, options={"kill_timeout": 1, "journal_path": "none"})
    ) as run:
        interrupt_with_a_warning(run, lab, web1)
        assert not journal_of(run).exists()
        assert not [*run.directory.glob("*report*")]
