# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook sweep ends what dead runs have left, lists it before, and touches no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.modules.dead_runs import KINDS, dead_run, kinds, let_go, living_run
from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Finished, Play, follow, started
from tests.support.run.run import Run
from tests.support.trees.triggers import INT

SWEEP = "ansible-playbook treekill.remote.sweep -i {inventory} --become"


@pytest.fixture(autouse=True)
def _clean(lab: Lab) -> None:
    for host in lab:
        host.reset()


def sweep(run: Run, lab: Lab, *words: str, inventory: Path | None = None) -> Finished:
    """Sweep with the journal of that run, as its user would afterwards, in that directory."""
    command = SWEEP.format(inventory=inventory or lab.inventory)
    return follow(run, " ".join([command, *words]), 120)


def swept(run: Run, lab: Lab, *words: str, inventory: Path | None = None) -> str:
    done = sweep(run, lab, *words, inventory=inventory)
    assert done.status == 0, f"{done.output}\n{done.errors}"
    return done.output


def test_check_tells_what_a_dead_run_has_left_and_touches_no_process(lab: Lab, web1: Host) -> None:
    with dead_run(lab, web1) as run:
        before = kinds(run, web1)
        printed = swept(run, lab, "--check")
        assert kinds(run, web1) == before
        missing = {kind for kind in KINDS if printed.count(f"tk-{kind}-{run.row} 7") != 1}
        assert not missing, f"not listed, or twice: {missing}\n{printed}"


def test_what_the_journal_calls_open_is_ended_and_noted_and_a_living_run_goes_on(
    lab: Lab, web1: Host
) -> None:
    with living_run(lab, web1) as living, dead_run(lab, web1) as run:
        printed = swept(run, lab, "-e", "sweep_dead=false")
        assert not kinds(run, web1), printed
        assert re.search(
            r"run [0-9a-f]{16} .*: \d+ ended, 0 survivors", " ".join(printed.split())
        ), printed
        again = swept(run, lab, "-e", "sweep_journal=only", "-v")
        # The key of a result: nothing was looked for on the host.
        assert '"processes"' not in again, again
        let_go(living, web1)


def test_without_a_journal_a_dead_command_is_known_by_what_the_host_shows(
    lab: Lab, web1: Host
) -> None:
    with living_run(lab, web1) as living, dead_run(lab, web1) as run:
        printed = swept(run, lab, "-e", "sweep_journal=ignore")
        assert "dead runs" in printed
        assert not kinds(run, web1), printed
        let_go(living, web1)


def test_a_host_that_the_journal_does_not_name_is_left_out_before_any_connection(
    lab: Lab, web1: Host, web2: Host
) -> None:
    with dead_run(lab, web1) as run:
        web2.cut()
        printed = swept(run, lab, "-e", "sweep_journal=only")
        assert not kinds(run, web1), printed
        assert re.search(r"web2 +: ok=\d+ +changed=0 +unreachable=0", printed), printed


@pytest.mark.parametrize("name", ["sweep_runs", "sweep_run"])
def test_with_the_name_of_a_run_no_other_one_is_swept(lab: Lab, web1: Host, name: str) -> None:
    """The former name of the variable selects as well, and is reported."""
    with dead_run(lab, web1) as run:
        before = kinds(run, web1)
        printed = swept(run, lab, "-e", f"{name}={'f' * 16}")
        assert kinds(run, web1) == before, printed
        assert ("sweep_run is now called sweep_runs" in printed) == (name == "sweep_run"), printed


def test_the_command_that_the_recap_prints_finishes_the_job(lab: Lab, web1: Host) -> None:
    """Exactly that line, pasted into a shell, when the host is back."""
    play = Play(
        [tasks.grow()],
        options={"kill_timeout": 1, "kill_retry_for": 0, "supervise": False},
        sections={"ssh_connection": {"pipelining": True}},
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        web1.cut()
        INT.fire(run, lab)
        assert run.wait(90) == INT.status, run.story
        found = re.search(
            r"^To end what is left when the hosts are reachable, run: (.*)$",
            run.errors,
            re.MULTILINE,
        )
        assert found, run.story
        web1.heal()
        assert tasks.alive(run, web1), "the control: without it, they live on"
        done = follow(run, found[1], 120)
        assert done.status == 0, f"{done.output}\n{done.errors}"
        assert not tasks.alive(run, web1), f"{done.output}\n{done.errors}"


def renamed(lab: Lab, host: Host, name: str, path: Path) -> Path:
    """Write an inventory with that host alone, under that name, and return its path."""
    lines = lab.inventory.read_text().splitlines()
    others = [f"{one.name} " for one in lab if one is not host]
    kept = [line for line in lines if not line.startswith(tuple(others))]
    path.write_text("\n".join(re.sub(rf"^{host.name} ", f"{name} ", line) for line in kept) + "\n")
    return path


def test_another_host_of_the_same_name_is_no_evidence_for_the_one_of_the_run(
    lab: Lab, web1: Host, web2: Host, tmp_path: Path
) -> None:
    """The host of the run has lost its network, and the other one is in another inventory."""
    play = Play(
        [tasks.grow()],
        options={"kill_timeout": 1, "kill_retry_for": 0, "supervise": False},
        sections={"ssh_connection": {"pipelining": True}},
    )
    staging = renamed(lab, web2, "web1", tmp_path / "staging")
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        web1.cut()
        INT.fire(run, lab)
        assert run.wait(90) == INT.status, run.story
        for words in (["-e", "sweep_journal=only"], [], ["-e", "sweep_journal=only", "--check"]):
            printed = swept(run, lab, *words, inventory=staging)
            assert (
                f"the web1 of the journal was at {_place(web1)}, and this one is at {_place(web2)}"
                in printed
            ), printed
            assert "1 host: 1 left open" in printed, printed
        web1.heal()
        assert tasks.alive(run, web1), "the control: no sweep has looked there"
        production = renamed(lab, web1, "web1", tmp_path / "production")
        printed = swept(run, lab, "-e", "sweep_journal=only", inventory=production)
        assert not tasks.alive(run, web1), printed
        assert "1 host: 1 clean" in printed, printed
        printed = swept(run, lab, "-e", "sweep_journal=only", inventory=staging)
        assert "1 host: 1 clean" in printed, f"the control: it is noted\n{printed}"


def _place(host: Host) -> str:
    return f"{host.address}:{host.port}" if host.port != 22 else host.address
