# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run after the kill: where and when it runs, with what, and where not."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import started
from tests.support.run.run import Run
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, HUP, INT, KILL, KILL_GROUP, TERM, TIMEOUT, Trigger

from .after_kill import TELL, play, told, wait_until_told

BOTH = ("web1", "web2")

#: The cause that the run after the kill gets, if a signal was the cause.
CAUSES = {CTRL_C: "SIGINT", INT: "SIGINT", TERM: "SIGTERM", HUP: "SIGHUP"}


def interrupt(run: Run, lab: Lab, trigger: Trigger = INT) -> None:
    trigger.fire(run, lab)
    assert run.wait(60) == trigger.status, run.story


def recap(run: Run) -> str:
    """Return what the recap has about it."""
    return "\n".join(line for line in run.errors.splitlines() if line.startswith("after_kill: "))


@pytest.mark.parametrize(
    "trigger",
    [
        INT,
        KILL,
        *(pytest.param(trigger, marks=rest) for trigger in (CTRL_C, TERM, HUP, KILL_GROUP)),
    ],
    ids=lambda trigger: trigger.name,
)
def test_it_is_run_once_on_each_interrupted_host_when_nothing_is_alive_there(
    lab: Lab, web1: Host, web2: Host, trigger: Trigger
) -> None:
    with started(lab, play([TELL], hosts=BOTH, terminal=trigger.terminal)) as run:
        tasks.wait_for_tree(run, [web1, web2])
        interrupt(run, lab, trigger)
        for host in (web1, web2):
            identity, cause, task, alive = wait_until_told(run, host)
            assert re.fullmatch("[0-9a-f]{16}", identity)
            assert cause == CAUSES.get(trigger, "the main process is gone")
            assert task == "Grow a tree"
            assert alive == "0"
        tasks.wait_until_nothing_is_left(run)
        assert [len(told(run, host)) for host in (web1, web2)] == [4, 4], (
            "it was run more than once"
        )
        if trigger.recap:
            assert re.search(
                r"after_kill: after.yml ended after [0-9.]+ s, ok: web1, web2",
                recap(run) or run.output,
            ), run.story


def test_nothing_is_run_by_default(lab: Lab, web1: Host) -> None:
    """The control: the file is there, and no option names it."""
    with started(lab, play([TELL], options={"after_kill": ""})) as run:
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        tasks.wait_until_nothing_is_left(run)
        assert not told(run, web1), run.story
        assert not recap(run), run.story


@rest
def test_only_hosts_that_were_interrupted_are_touched(lab: Lab, web1: Host, web2: Host) -> None:
    with started(
        lab,
        play(
            [TELL],
            hosts=BOTH,
            tasks=[tasks.trace(), tasks.grow(when="inventory_hostname == 'web1'")],
        ),
    ) as run:
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        assert wait_until_told(run, web1)
        tasks.wait_until_nothing_is_left(run)
        assert not told(run, web2), run.story
        assert "ok: web1" in recap(run), run.story
        assert "web2" not in recap(run), run.story


def test_a_host_with_survivors_is_left_out_and_named(lab: Lab, web1: Host, web2: Host) -> None:
    """The survivor gets no other signals than the user wants."""
    variables = {"web2": {"treekill_kill_children": False}}
    with started(
        lab,
        play(
            [TELL],
            hosts=BOTH,
            host_variables=variables,
            sections={"ssh_connection": {"pipelining": True}},
        ),
    ) as run:
        tasks.wait_for_tree(run, [web1, web2])
        interrupt(run, lab)
        assert wait_until_told(run, web1)
        tasks.wait_until_nothing_is_left(run)
        assert not told(run, web2), run.story
        assert "was not run on web2: processes are still alive there" in recap(run), run.story


@rest
def test_a_host_that_cannot_be_reached_is_left_out_and_named(
    lab: Lab, web1: Host, web2: Host
) -> None:
    with started(lab, play([TELL], hosts=BOTH, options={"kill_retry_for": 0})) as run:
        tasks.wait_for_tree(run, [web1, web2])
        web2.cut()
        interrupt(run, lab)
        assert wait_until_told(run, web1)
        web2.heal()
        tasks.wait_until_nothing_is_left(run)
        assert not told(run, web2), run.story
        assert "was not run on web2: its end is not confirmed" in recap(run), run.story


@rest
def test_the_timeout_of_one_task_is_no_interruption(lab: Lab, web1: Host) -> None:
    rescued = {"name": "A block", "block": [tasks.grow(timeout=1000)], "rescue": [tasks.gate()]}
    with started(lab, play([TELL], tasks=[rescued])) as run:
        tasks.wait_for_tree(run, [web1])
        TIMEOUT.fire(run, lab)
        tasks.wait_at(run, web1)
        tasks.open_gate(run, web1)
        assert run.wait(60) == 0, run.story
        tasks.wait_until_nothing_is_left(run)
        assert not told(run, web1), run.story


@rest
def test_a_playbook_is_limited_to_the_interrupted_hosts(lab: Lab, web1: Host, web2: Host) -> None:
    playbook = json.dumps(
        [{"name": "Release", "hosts": "all", "gather_facts": False, "tasks": [TELL]}]
    )
    of_play = play(
        [], files={"more/release.yml": playbook}, options={"after_kill": "more/release.yml"}
    )
    with started(lab, of_play) as run:
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        assert wait_until_told(run, web1)
        tasks.wait_until_nothing_is_left(run)
        assert not told(run, web2), run.story
        assert "more/release.yml ended after" in recap(run), run.story


def test_it_has_the_variables_options_and_folders_of_the_run(lab: Lab, web1: Host) -> None:
    said = (
        "printf '%s\\n' {{ extra }} {{ beside }} {{ ansible_check_mode }} $(id -un) >> "
        "/tmp/after-{{ row }}"
    )
    after = [
        {"name": "Say", "ansible.builtin.shell": said, "check_mode": False},
        {"ansible.builtin.import_role": {"name": "beside"}},
    ]
    files = {
        "group_vars/targets.yml": json.dumps({"beside": "from-group-vars"}),
        "vars.yml": json.dumps({"extra": "from-a-file"}),
        "roles/beside/tasks/main.yml": json.dumps(
            [
                {
                    "name": "Say",
                    "ansible.builtin.shell": "echo role >> /tmp/after-{{ row }}",
                    "check_mode": False,
                }
            ]
        ),
    }
    run_of = play(
        after,
        files=files,
        arguments=["-e", "@vars.yml", "-b", "--become-user", "other", "--check"],
        tasks=[tasks.grow(check_mode=False)],
    )
    with started(lab, replace(run_of, sections={"ssh_connection": {"pipelining": True}})) as run:
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        tasks.wait_until_nothing_is_left(run)
        assert told(run, web1) == ["from-a-file", "from-group-vars", "True", "other", "role"], (
            run.story
        )


@rest
def test_the_name_of_a_task_is_no_template(lab: Lab, web1: Host, tmp_path) -> None:
    """It may hold what a host has sent."""
    # As octal numbers: braces in the command itself would be a template.
    said = rf"""printf '\173\173 lookup("pipe", "touch {tmp_path}/executed") \175\175'"""
    ask = {"name": "Ask the host", "ansible.builtin.shell": {"cmd": said}, "register": "answer"}
    with started(
        lab, play([TELL], tasks=[ask, {**tasks.grow(), "name": "{{ answer.stdout }}"}])
    ) as run:
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        assert wait_until_told(run, web1)[2].startswith('{{ lookup("pipe"'), run.story
        assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ("absent.yml", "existing files"),
        ("after.yml, playbook.yml", "tasks files, or playbooks, not both"),
        ("tree.sh", "tree.sh"),
    ],
)
def test_a_file_that_is_none_is_refused_before_anything_is_run(
    lab: Lab, web1: Host, after: str, says: str
) -> None:
    with started(lab, play([TELL], tasks=[tasks.trace()], options={"after_kill": after})) as run:
        assert run.wait(40) == 5, run.story
        assert "treekill option after_kill" in tasks.said(run), run.story
        assert says in tasks.said(run), run.story
        assert not tasks.has_left_trace(run, web1)


@rest
def test_what_was_not_well_is_told_with_its_output(lab: Lab, web1: Host, web2: Host) -> None:
    after = [
        TELL,
        {
            "name": "Break",
            "ansible.builtin.fail": {"msg": "no lock was found"},
            "when": "inventory_hostname == 'web2'",
        },
    ]
    with started(lab, play(after, hosts=BOTH)) as run:
        tasks.wait_for_tree(run, [web1, web2])
        interrupt(run, lab)
        assert re.search(
            r"after_kill: after.yml FAILED \(exit status 2\) after [0-9.]+ s, failed: web2; ok: "
            r"web1",
            recap(run),
        ), run.story
        assert "no lock was found" in tasks.said(run), run.story


def test_of_several_playbooks_the_one_that_is_interrupted_has_its_own(lab: Lab, web1: Host) -> None:
    """`ansible-playbook one.yml two.yml`: one main process, one guardian, one recap."""
    second = json.dumps(
        [{"name": "Second", "hosts": "targets", "gather_facts": False, "tasks": [tasks.grow()]}]
    )
    with started(
        lab,
        play([TELL], tasks=[tasks.trace()], files={"second.yml": second}, arguments=["second.yml"]),
    ) as run:
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        assert wait_until_told(run, web1)
        tasks.wait_until_nothing_is_left(run)
        assert len(told(run, web1)) == 4, run.story
        assert run.errors.count("TREEKILL RECAP") == 1, run.story
