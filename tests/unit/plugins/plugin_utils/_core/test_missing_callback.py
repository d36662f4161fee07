# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A warning for a callback that was meant to be enabled, and is not.

It is given by the parts of the collection that are used without it.
"""

from __future__ import annotations

import sys

import pytest
from ansible import constants as C
from ansible_collections.treekill.remote.plugins.plugin_utils._core import missing_callback

from ..playbook_runs import start_playbook

NAMED = "[defaults]\ncallbacks_enabled = timer, treekill.remote.guardian\n"
SECTION = "[treekill]\nkill_timeout = 5\n"


@pytest.mark.parametrize(
    ("file", "environ", "argv", "expected"),
    [
        (
            NAMED,
            {"ANSIBLE_CALLBACKS_ENABLED": "timer"},
            "ansible-playbook",
            "ANSIBLE_CALLBACKS_ENABLED=timer in the environment replaces that line",
        ),
        (SECTION, {}, "ansible-playbook", "add it to callbacks_enabled"),
        (
            SECTION,
            {"ANSIBLE_CALLBACKS_ENABLED": "timer"},
            "ansible-playbook",
            "add it to ANSIBLE_CALLBACKS_ENABLED",
        ),
        (NAMED, {}, "ansible", "ansible loads it only with ANSIBLE_LOAD_CALLBACK_PLUGINS=1"),
        (NAMED + SECTION, {}, "ansible-playbook", ""),
        (
            SECTION,
            {"ANSIBLE_CALLBACKS_ENABLED": "treekill.remote.guardian,timer"},
            "ansible-playbook",
            "",
        ),
        ("[defaults]\ncallbacks_enabled = timer\n", {}, "ansible-playbook", ""),
        ("no section at all", {}, "ansible-playbook", ""),
    ],
)
def test_what_shows_that_it_was_wanted_is_said_with_the_reason(
    tmp_path, monkeypatch, file, environ, argv, expected
):
    (tmp_path / "ansible.cfg").write_text(file)
    monkeypatch.setattr(C, "CONFIG_FILE", str(tmp_path / "ansible.cfg"), raising=False)
    monkeypatch.setattr(C, "DEFAULT_LOAD_CALLBACK_PLUGINS", False, raising=False)
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{argv}"])
    monkeypatch.delenv("ANSIBLE_CALLBACKS_ENABLED", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    said = missing_callback.misconfiguration()
    assert expected in said
    assert bool(said) is bool(expected)


@pytest.mark.parametrize(
    "tasks",
    [[{"treekill.remote.command": {"argv": ["true"]}}], [{"treekill.remote.run_journal_info": {}}]],
    ids=["an action", "the journal"],
)
def test_the_plugins_of_the_collection_say_that_a_variable_has_turned_it_off(tasks):
    with start_playbook(
        tasks, environ={"ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.tree"}
    ) as play:
        said = " ".join(play.finished().split())
    assert (
        "ANSIBLE_CALLBACKS_ENABLED=ansible.builtin.tree in the environment replaces that line"
        in said
    ), said


def test_with_the_callback_nothing_is_missed():
    with start_playbook(
        [{"treekill.remote.command": {"argv": ["true"]}}, {"treekill.remote.run_journal_info": {}}]
    ) as play:
        assert "treekill.remote: this run" not in " ".join(play.finished().split())
