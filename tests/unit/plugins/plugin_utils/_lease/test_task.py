# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts about a task before it sends anything.

A fact that can't be known yet is no error.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible import template
from ansible.errors import AnsibleOptionsError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._lease import task
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._run import patch_actions

# Before 2.19 every text is a template.
as_template = getattr(template, "trust_as_template", str)

LATER = as_template("{{ found.stdout }}")


class Task:
    """The attributes of a task that are asked for."""

    delegate_to = None
    no_log = False
    async_val = poll = 0

    def __init__(self, action: str = "ansible.builtin.raw", **args: Any) -> None:
        self.action, self.args = action, args

    def get_name(self) -> str:
        return "a task"


def action(variables: dict[str, Any], task: Task | None = None, needs: bool = True) -> Any:
    templar = template.Templar(DataLoader(), variables={"inventory_hostname": "web1", **variables})
    return SimpleNamespace(
        _task=task or Task(), _templar=templar, _requires_connection=needs, _connection=None
    )


def test_an_interpreter_that_another_task_finds_is_not_looked_at():
    known = GuardedTask.from_action(action({"ansible_python_interpreter": LATER}))
    assert known.interpreters == ("/usr/bin/python3", "/usr/libexec/platform-python", "python3")


def test_an_interpreter_that_is_made_of_something_costs_no_lookup(tmp_path):
    looked = tmp_path / "looked"
    GuardedTask.from_action(
        action(
            {
                "ansible_python_interpreter": as_template(
                    "{{ lookup('pipe', 'touch " + str(looked) + "') }}"
                )
            }
        )
    )
    assert not looked.exists()


def test_a_plain_interpreter_and_a_discovered_one_come_first():
    facts = {"discovered_interpreter_python": "/opt/found"}
    assert GuardedTask.from_action(
        action({"ansible_python_interpreter": "/opt/own", "ansible_facts": facts})
    ).interpreters[:2] == ("/opt/own", "/opt/found")
    assert GuardedTask.from_action(action({"ansible_facts": facts})).with_interpreter(
        "/opt/run"
    ).interpreters[:2] == ("/opt/run", "/opt/found")


@pytest.mark.parametrize("variable", options.VARIABLES)
def test_an_option_that_is_not_known_yet_is_as_if_it_were_not_set_and_is_told(
    variable, monkeypatch
):
    told: list[str] = []
    monkeypatch.setattr(task.display, "warning", told.append)
    assert GuardedTask.from_action(action({variable: LATER})).options == options.resolve()
    assert [text for text in told if variable in text and "not known yet" in text] == told
    assert len(told) == 1


def test_an_option_that_is_made_of_something_known_counts():
    assert (
        GuardedTask.from_action(
            action({"treekill_kill_timeout": as_template("{{ 2 * half }}"), "half": 3})
        ).options.timeout
        == 6.0
    )


def test_a_wrong_option_is_an_error():
    with pytest.raises(AnsibleOptionsError, match="kill_timeout"):
        GuardedTask.from_action(action({"treekill_kill_timeout": as_template("{{ 'soon' }}")}))


@pytest.mark.parametrize("needs", [True, False])
def test_nothing_is_looked_at_for_an_action_that_does_nothing_on_any_host(needs, monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(
        patch_actions, "guard_connection", lambda connection, link, task: asked.append(task)
    )
    monkeypatch.setattr(patch_actions, "current", lambda: None)
    monkeypatch.setattr(
        options,
        "resolve",
        lambda *arguments: asked.append("options") or SimpleNamespace(track="all"),
    )
    patch_actions._guard(action({}, needs=needs))
    assert ("options" in asked) is needs


def test_a_task_says_which_job_it_asks_for():
    assert (
        GuardedTask.from_action(
            action({}, Task("ansible.builtin.async_status", jid="j12.34"))
        ).polls
        == "j12.34"
    )
    assert (
        GuardedTask.from_action(
            action({}, Task("ansible.builtin.async_status", jid="j12.34", mode="cleanup"))
        ).polls
        == ""
    )
    assert (
        GuardedTask.from_action(action({}, Task("ansible.builtin.command", jid="j12.34"))).polls
        == ""
    )
