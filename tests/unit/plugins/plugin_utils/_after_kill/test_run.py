# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run after the kill: its options, its variables, and its lines in the recap.

Tasks and hosts may have any names.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import sys

import pytest
from ansible import context
from ansible.errors import AnsibleOptionsError
from ansible.module_utils.common.collections import ImmutableDict
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.vars import load_extra_vars
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.files import AfterFiles
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import PRIVATE
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    AfterOptions,
    resolve_after,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import AfterKillPlan
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AfterKillReport,
    AfterKillState,
    HostEnding,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.after_kill import after_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("{}%'\"\\\n\t"), max_size=30
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("TREEKILL_AFTER_KILL", "TREEKILL_AFTER_KILL_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


# Options.


def test_by_default_there_is_nothing():
    assert resolve_after() == AfterOptions((), 120.0)


@pytest.mark.parametrize(
    "value", ["a.yml, b c.yml", "a.yml,b c.yml,", "a.yml\nb c.yml", ["a.yml", "b c.yml"]]
)
def test_files_are_a_list_or_a_text_with_commas(value):
    assert resolve_after({"treekill_after_kill": value}).files == ("a.yml", "b c.yml")


def test_a_variable_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("TREEKILL_AFTER_KILL", "environment.yml")
    monkeypatch.setenv("TREEKILL_AFTER_KILL_TIMEOUT", "7")
    assert resolve_after() == AfterOptions(("environment.yml",), 7.0)
    assert resolve_after(
        {"treekill_after_kill": "", "treekill_after_kill_timeout": 8}
    ) == AfterOptions((), 8.0)


@pytest.mark.parametrize("value", ["soon", "-1", "nan"])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(AnsibleOptionsError, match="treekill option after_kill_timeout"):
        resolve_after({"treekill_after_kill_timeout": value})


# Files.


def files_of(tmp_path, **more):
    basedir = tmp_path / "site"
    basedir.mkdir(exist_ok=True)
    plan = AfterKillPlan(
        files=("after.yml",),
        paths=("/somewhere/after.yml",),
        are_playbooks=False,
        basedir=str(basedir),
        arguments=(f"--connection-password-file={PRIVATE}/connection",),
        environment={},
        secrets={"connection": "s3cret"},
        timeout=1.0,
        grace=1.0,
        python=sys.executable,
        path=(),
        directory=str(tmp_path),
    )
    return AfterFiles(str(tmp_path), dataclasses.replace(plan, **more))


def test_the_directory_is_private_holds_no_secret_and_goes(tmp_path):
    files = files_of(tmp_path)
    (tmp_path / "site/group_vars").mkdir()
    words = files.arguments("0123456789abcdef", "SIGINT", {"web1": ["Dump"]})
    assert stat.S_IMODE(os.stat(files.directory).st_mode) == 0o700
    assert words[0] == f"--connection-password-file={files.directory}/connection"
    assert stat.S_ISFIFO(os.stat(f"{files.directory}/connection").st_mode)
    regular = [
        entry.path for entry in os.scandir(files.directory) if entry.is_file(follow_symlinks=False)
    ]
    assert regular
    for path in regular:
        with open(path, encoding="utf-8") as file:
            assert "s3cret" not in file.read()
    assert os.path.islink(f"{files.directory}/group_vars")
    files.remove()
    assert not os.path.exists(files.directory)
    assert (tmp_path / "site/group_vars").is_dir()


def read_as_extra_variables(path):
    # It keeps what it has read, on itself.
    vars(load_extra_vars).clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "CLIARGS", ImmutableDict(extra_vars=(f"@{path}",)))
        variables = load_extra_vars(DataLoader())
    vars(load_extra_vars).clear()
    return {**variables}


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_the_names_of_tasks_arrive_as_they_are(tmp_path, names):
    """They pass core's own reading of variables, and its templates."""
    files = files_of(tmp_path)
    try:
        files.arguments("0123456789abcdef", "SIGINT", {"web1": names})
        variables = read_as_extra_variables(f"{files.directory}/variables.yml")
        task = variables.pop("treekill_task")
        templar = Templar(DataLoader(), variables={**variables, "inventory_hostname": "web1"})
        assert templar.template(task) == names[0]
        assert templar.template(variables["treekill_interrupted"]) == {"web1": {"tasks": names}}
    finally:
        files.remove()


# Lines.


def told(**more):
    known = {
        "state": AfterKillState.ENDED,
        "files": ("after.yml",),
        "hosts": {"web1": HostEnding.OK},
        "left_out": {},
        "seconds": 1.0,
        "output": ("PLAY",),
    }
    return AfterKillReport(**{**known, **more})


def test_where_nothing_was_to_be_run_nothing_is_said():
    assert after_lines(None) == []
    assert after_lines(told(state=AfterKillState.NOWHERE, hosts={})) == []


def test_what_went_well_is_one_line():
    assert [tuple(line) for line in after_lines(told())] == [
        ("after_kill: after.yml ended after 1.0 s, ok: web1", False, False)
    ]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"status": 2}, "FAILED (exit status 2)"),
        ({"status": -9}, "FAILED (signal 9)"),
        ({"ended_by": "Ctrl-C", "status": 99}, "was interrupted (Ctrl-C)"),
        ({"hosts": {"web1": HostEnding.NOT_REPORTED}}, "not reported: web1"),
        ({"hosts": {"web1": HostEnding.FAILED}}, "failed: web1"),
    ],
)
def test_what_did_not_is_bad_news_with_its_output(more, says):
    first, *rest = after_lines(told(**more))
    assert first.bad
    assert says in first.text
    assert [(line.text, line.of_output) for line in rest] == [("  | PLAY", True)]


@pytest.mark.parametrize("state", [AfterKillState.WANTED, AfterKillState.UNDER_WAY])
def test_what_is_not_over_is_said_to_be_not_over(state):
    assert after_lines(told(state=state))[0].bad


def test_a_host_that_is_left_out_is_named():
    lines = after_lines(
        told(left_out={"web2": "its end is not confirmed", "web3": "its end is not confirmed"})
    )
    assert (
        lines[1].text == "after_kill: after.yml was not run on web2, web3: its end is not confirmed"
    )


def test_of_many_hosts_some_are_named():
    line = after_lines(told(hosts={f"web{number:03}": HostEnding.OK for number in range(200)}))[
        0
    ].text
    assert "web009 and 190 more" in line
    assert "web010" not in line
