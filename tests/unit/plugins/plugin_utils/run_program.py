# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that plays a run of its own, with a guardian.

It reads an order on standard input, as JSON, and answers on standard output. With `commands`, each
a command and what it reads, it runs them over a local connection, bare and guarded. It answers with
the results of each. With `wait` it starts a guardian, prints its socket, and waits until standard
input ends.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (
    guard_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import guardian_process
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import GuardianClient
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify

RUN = "00000000000000aa"


def _connection() -> Any:
    context = PlayContext()
    context.executable = "/bin/sh"
    connection = connection_loader.get("local", context, new_stdin=None)
    connection.set_options(var_options={})
    return connection


def _return_text(connection: Any) -> None:
    """Return text, as the connection plugins for lxd and incus do."""
    bare = connection.exec_command

    def exec_command(*arguments: Any, **keywords: Any) -> tuple[int, str, str]:
        status, out, err = bare(*arguments, **keywords)
        return status, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape")

    connection.exec_command = exec_command


def _results(commands: list[list[str | None]]) -> list[Any]:
    client = GuardianClient(run=RUN, main=identify(os.getpid()), announced=True)
    task = GuardedTask(
        host="here", name="a task", options=options.resolve(), interpreters=(), show_arguments=True
    )
    bare, guarded, announcing, texty = _connection(), _connection(), _connection(), _connection()
    guard_connection(guarded, client, task)
    _return_text(texty)
    answers = []
    with (
        guard_connection(announcing, client, task).recording(commands=False),
        guard_connection(texty, client, task).recording(commands=False),
    ):  # type: ignore[union-attr]
        for command, stdin in commands:
            results = [
                one.exec_command(command, in_data=stdin.encode() if stdin else None, sudoable=False)
                for one in (bare, guarded, announcing)
            ]
            status, out, err = texty.exec_command(
                command, in_data=stdin.encode() if stdin else None, sudoable=False
            )
            results.append(
                (status, out.encode(errors="surrogateescape"), err.encode(errors="surrogateescape"))
            )
            answers.append(
                [
                    [status, out.decode(errors="replace"), err.decode(errors="replace")]
                    for status, out, err in results
                ]
            )
    return answers


def _wait() -> None:
    path = guardian_process.ensure(RUN, identify(os.getpid()))
    print(json.dumps(path), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    order = json.loads(sys.stdin.readline())
    if "commands" in order:
        print(json.dumps(_results(order["commands"])))
    else:
        _wait()
