# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ansible-core that has changed where the collection hooks into it.

One warning has what is lost, the rest is guarded, and the play goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts import Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import tree
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT

from .later_core import make, renamed

#: A module, an action that runs a command line, and the result of another plugin: any way in which
#: core uses a connection.
ORDINARY: list[dict[str, Any]] = [
    {"name": "A module", "ansible.builtin.command": "id -un", "register": "module"},
    {
        "name": "A module, become",
        "ansible.builtin.command": "id -un",
        "become": True,
        "register": "as_root",
    },
    {"name": "A command line", "ansible.builtin.raw": "echo raw", "register": "raw"},
    {
        "name": "A file",
        "ansible.builtin.copy": {"content": "x", "dest": "/tmp/file-{{ row }}", "mode": "0644"},
        "register": "file",
    },
    {
        "name": "Their results",
        "ansible.builtin.assert": {
            "that": [
                "module.stdout != 'root'",
                "as_root.stdout == 'root'",
                "raw.stdout_lines == ['raw']",
                "file is changed",
                "file.size == 1",
            ]
        },
    },
]

CHANGED = "lacks what this version of the collection needs"


@dataclass(frozen=True)
class Change:
    """One way in which a later core differs."""

    what: str  #: what has changed, in the words of the warning; empty: nothing that matters
    replacements: Mapping[str, str]
    lost: str  #: in the words of the warning


def rename(*words: str, what: str, lost: str) -> Change:
    return Change(what, renamed(*words), lost)


EVERYTHING, TASKS, BECOME, SUPERVISOR = (
    "nothing is guarded",
    "tasks are guarded only on hosts",
    "by the login user",
    "modules have no supervisor",
)

#: After these changes nothing can be guarded, or no task of a connection that is not ours.
UNGUARDED = (
    rename(
        "exec_command", what="ConnectionBase.exec_command(cmd, in_data, sudoable)", lost=EVERYTHING
    ),
    rename("in_data", what="ConnectionBase.exec_command(cmd, in_data, sudoable)", lost=EVERYTHING),
    rename("become_loader", what="ansible.plugins.loader.become_loader.get(name)", lost=EVERYTHING),
    rename(
        "connection_loader",
        what="ansible.plugins.loader.connection_loader.get(name)",
        lost=EVERYTHING,
    ),
    rename("shell_loader", what="ansible.plugins.loader.shell_loader.get(name)", lost=EVERYTHING),
    rename("supports_persistence", what="ConnectionBase.supports_persistence", lost=EVERYTHING),
    rename("_load_name", what="ConnectionBase._load_name", lost=EVERYTHING),
    rename("SHELL_FAMILY", what="ShellModule.SHELL_FAMILY", lost=EVERYTHING),
    rename(
        "AnsibleConnectionFailure", what="ansible.errors.AnsibleConnectionFailure", lost=EVERYTHING
    ),
    rename("unfrackpath", what="ansible.utils.path.unfrackpath", lost=EVERYTHING),
    rename(
        "get_configuration_definitions",
        what="config.get_configuration_definitions(plugin_type, name)",
        lost=EVERYTHING,
    ),
    rename("v2_playbook_on_start", what="CallbackBase.v2_playbook_on_start", lost=EVERYTHING),
    rename("_connection", what="ActionBase._connection", lost=TASKS),
    rename("_templar", what="ActionBase._templar", lost=TASKS),
    rename("available_variables", what="Templar.available_variables", lost=TASKS),
    rename("async_val", what="Task.async_val", lost=EVERYTHING),
)

#: After these changes tasks are still guarded.
GUARDED = (
    Change(
        "",
        {
            r"sudoable: bool = True": "sudoable: bool = True, later: bool = False",
            r"\bexec_command\(cmd, in_data=in_data, sudoable=sudoable\)": (
                "exec_command(cmd, in_data=in_data, sudoable=sudoable, later=True)"
            ),
        },
        "",
    ),
    rename("set_become_plugin", what="ConnectionBase.set_become_plugin(plugin)", lost=BECOME),
    rename("build_become_command", what="BecomeBase.build_become_command(cmd, shell)", lost=BECOME),
    rename(
        "build_module_command",
        what="ShellBase.build_module_command(env_string, shebang, cmd, arg_path)",
        lost=SUPERVISOR,
    ),
    rename(
        "arg_path",
        what="ShellBase.build_module_command(env_string, shebang, cmd, arg_path)",
        lost=SUPERVISOR,
    ),
    rename(
        "put_file",
        what="ConnectionBase.put_file(in_path, out_path)",
        lost="asynchronous jobs have no supervisor",
    ),
    rename(
        "current_worker",
        what="ansible.executor.process.worker.current_worker",
        lost="guard only what treekill_track=all finds",
    ),
    rename(
        "_task_vars",
        what="WorkerProcess._task_vars",
        lost="guard only what treekill_track=all finds",
    ),
    rename(
        "load_extra_vars", what="ansible.utils.vars.load_extra_vars(loader)", lost="--extra-vars"
    ),
    rename(
        "v2_runner_on_start",
        what="CallbackBase.v2_runner_on_start",
        lost="missed by the next task only",
    ),
    rename("CLIARGS", what="ansible.context.CLIARGS", lost="leave the inventory out"),
)

#: Changes that make test runs as well: one of each kind of loss.
OFTEN = (
    "exec_command",
    "_connection",
    "later",
    "set_become_plugin",
    "build_module_command",
    "CLIARGS",
)


def changes(table: tuple[Change, ...]) -> pytest.MarkDecorator:
    names = [
        next(iter(change.replacements.values()))
        .removesuffix("_anew")
        .rpartition(", ")[2]
        .partition(":")[0]
        for change in table
    ]
    marked = [
        pytest.param(change, id=name, marks=() if name in OFTEN else rest)
        for change, name in zip(table, names, strict=True)
    ]
    return pytest.mark.parametrize("change", marked)


@contextmanager
def on_a_later_core(
    lab: Lab, place: Path, change: Change, more: list[dict[str, Any]], **play: Any
) -> Iterator[Run]:
    make(place, change.replacements)
    with started(
        lab,
        Play(
            [*ORDINARY, tasks.trace(), *more],
            options={"kill_timeout": 1},
            environ={"PYTHONPATH": str(place)},
            **play,
        ),
    ) as run:
        # So many tasks take their time on a busy machine.
        until(
            lambda: tasks.has_left_trace(run, lab["web1"]) or run.process.poll() is not None,
            120,
            lambda: run.story,
        )
        yield run


def assert_told_once(run: Run, change: Change) -> None:
    """Assert that there is one warning of ours.

    It names what is missing and what is lost.
    """
    said = tasks.said(run)
    # Ansible breaks a long word that does not fit.
    squeezed = said.replace(" ", "")
    assert said.count("WARNING]: treekill") == bool(change.what), run.story
    assert squeezed.count(CHANGED.replace(" ", "")) == bool(change.what), run.story
    assert change.what.replace(" ", "") in squeezed, run.story
    assert change.lost.replace(" ", "") in squeezed, run.story
    assert "Traceback" not in said, run.story
    assert "Failure using method" not in said, run.story
    assert "Skipping callback" not in said, run.story
    assert "is not protected" not in said, run.story


@changes(UNGUARDED)
def test_where_nothing_can_be_guarded_the_play_comes_to_its_end(
    lab: Lab, tmp_path: Path, change: Change
) -> None:
    with on_a_later_core(lab, tmp_path, change, []) as run:
        assert run.wait(60) == 0, run.story
        assert_told_once(run, change)
        assert tasks.has_left_trace(run, lab["web1"])
        tasks.wait_until_nothing_is_left(run)


@changes(GUARDED)
@pytest.mark.parametrize("become", [True, False], ids=["become", "login user"])
def test_what_can_be_guarded_is_guarded(
    lab: Lab, tmp_path: Path, change: Change, become: bool
) -> None:
    with on_a_later_core(
        lab, tmp_path, change, [tasks.grow(become=become)], kinds=tree.COOPERATIVE
    ) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert_told_once(run, change)
        tasks.wait_until_gone(run, [lab["web1"]])
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )
        tasks.wait_until_nothing_is_left(run)


@changes(tuple(change for change in UNGUARDED if change.lost == TASKS))
def test_without_the_actions_our_own_connection_guards_its_hosts(
    lab: Lab, tmp_path: Path, change: Change
) -> None:
    variables = {"ansible_connection": "treekill.remote.ssh"}
    with on_a_later_core(
        lab, tmp_path, change, [tasks.grow()], variables=variables, kinds=tree.COOPERATIVE
    ) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert_told_once(run, change)
        tasks.wait_until_gone(run, [lab["web1"]])
        assert re.search(r": ended [1-9]\d* .*survivors 0", run.errors), run.story


@changes(tuple(change for change in UNGUARDED if change.lost == EVERYTHING)[:2])
@pytest.mark.parametrize("callback", [True, False], ids=["callback", "no callback"])
def test_where_nothing_can_be_guarded_our_own_connection_goes_on(
    lab: Lab, tmp_path: Path, change: Change, callback: bool
) -> None:
    more: dict[str, Any] = (
        {}
        if callback
        else {"sections": {"defaults": {"callbacks_enabled": "ansible.builtin.tree"}}}
    )
    with on_a_later_core(
        lab, tmp_path, change, [], variables={"ansible_connection": "treekill.remote.ssh"}, **more
    ) as run:
        assert run.wait(60) == 0, run.story
        if callback:
            assert_told_once(run, change)
        assert CHANGED in tasks.said(run), run.story
        tasks.wait_until_nothing_is_left(run)


def test_with_nothing_guarded_the_tree_survives(lab: Lab, tmp_path: Path) -> None:
    """The control: the warning is true."""
    change = UNGUARDED[0]
    with on_a_later_core(lab, tmp_path, change, [tasks.grow()], kinds=tree.COOPERATIVE) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        INT.fire(run, lab)
        assert run.wait(60) is not None, run.story
        assert_told_once(run, change)
        assert tasks.alive(run, lab["web1"]), run.story
