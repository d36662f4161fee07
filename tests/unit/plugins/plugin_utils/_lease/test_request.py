# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The request for a lease says by which way an order reaches the supervisor before its courier."""

from __future__ import annotations

import dataclasses

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import (
    Command,
    request_for_command,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask

COMMAND = Command("89abcdef", becomes=False, pipelined=False, supervised=True)


def ways(command: Command, connection: str = "ssh", **variables: object) -> tuple[bool, bool]:
    """Return whether the end of the client is an order, and whether its terminal's size is one."""
    plugin = connection_loader.get(connection, PlayContext(), new_stdin=None)
    plugin.set_options(var_options={})
    task = GuardedTask(
        host="web1",
        name="a task",
        options=options.resolve({}, variables),
        interpreters=(),
        show_arguments=True,
    )
    terms = request_for_command("0123456789abcdef", task, plugin, command, "{}").terms
    return terms.cut, terms.window


@pytest.mark.parametrize(("pipelined", "found"), [(True, (True, False)), (False, (False, True))])
def test_a_supervised_command_over_ssh_has_one_way(pipelined, found):
    assert ways(dataclasses.replace(COMMAND, pipelined=pipelined)) == found


@pytest.mark.parametrize(
    "command",
    [
        dataclasses.replace(COMMAND, supervised=False),
        dataclasses.replace(COMMAND, starts_job=True),
    ],
    ids=["no supervisor", "an asynchronous job"],
)
def test_another_command_has_none(command):
    assert ways(command) == (False, False)


def test_a_task_that_may_lose_its_connection_has_none():
    assert ways(COMMAND, on_disconnect="keep") == (False, False)


def test_another_connection_has_none():
    assert ways(COMMAND, "local") == (False, False)
