# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Departure of a command from its worker.

It is noted before the command leaves. After an interruption no command leaves.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.departure import Departure
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (
    guard_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import Interrupted
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    LeaseRequest,
    LeaseTerms,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import Command
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.ssh_client import Client


class Guarded:
    """A guarded connection.

    Its ssh client is a script that writes down what is noted at its start, and then does this.
    """

    def __init__(
        self,
        directory: Path,
        does: str,
        *,
        retries: int = 0,
        announced: bool = True,
        name: str = "ssh",
        asynchronous: bool = False,
    ) -> None:
        self.page = RunPage()
        self.taken: list[LeaseTerms] = []
        self.lease = ""
        self.starts = directory / "starts"
        self.client = directory / "client"
        self.client.write_text(f"#!/bin/sh\necho start >> {self.starts}\n{does}\n")
        self.client.chmod(0o755)
        link: Any = types.SimpleNamespace(
            run="00000000000000aa",
            announced=announced,
            page=self.page,
            main=types.SimpleNamespace(pid=0),
            take_lease=self._take,
            done=lambda lease: None,
            done_at_exit=lambda lease: None,
            broken=lambda lease, lost, wait: None,
            unguarded=lambda *reason: None,
            show_news=lambda: None,
        )
        context = PlayContext()
        context.executable = "/bin/sh"
        self.connection = connection_loader.get(name, context, new_stdin=None)
        self.connection.set_options(
            direct={
                "ssh_executable": str(self.client),
                "reconnection_retries": retries,
                "host": "web1",
            }
            if name == "ssh"
            else {}
        )
        task = GuardedTask(
            host="web1",
            name="a task",
            options=options.resolve(),
            interpreters=(),
            show_arguments=True,
            asynchronous=asynchronous,
        )
        assert guard_connection(self.connection, link, task) is not None

    def _take(self, request: LeaseRequest) -> bool:
        self.lease = request.lease
        self.taken.append(request.terms)
        return True

    @property
    def started(self) -> int:
        return self.starts.read_text().count("start") if self.starts.exists() else 0


def test_the_first_client_of_each_command_is_not_noted(tmp_path):
    guarded = Guarded(tmp_path, "exit 0")
    for count in (1, 2):
        assert guarded.connection.exec_command("true")[0] == 0
        assert guarded.started == count
        assert not guarded.page.may_have_begun(guarded.lease)
        assert guarded.taken[-1].client == str(guarded.client)
        assert guarded.taken[-1].notes is False


def test_the_second_client_of_a_command_is_noted(tmp_path):
    guarded = Guarded(tmp_path, "exit 255", retries=1)
    with pytest.raises(AnsibleConnectionFailure):
        guarded.connection.exec_command("true")
    assert guarded.started == 2
    assert guarded.page.may_have_begun(guarded.lease)


def test_a_command_that_has_left_a_job_is_noted(tmp_path):
    """Its lease stays open while the worker polls the job, each time by another client."""
    guarded = Guarded(tmp_path, "exit 0", asynchronous=True)
    assert guarded.connection.exec_command("/tmp/async_wrapper.py j123 60 /tmp/module")[0] == 0
    assert guarded.page.may_have_begun(guarded.lease)


def test_no_client_is_started_once_the_run_was_interrupted(tmp_path):
    """The worker was stopped between its lease and its client, and is continued."""
    guarded = Guarded(tmp_path, "exit 0")
    guarded.page.close_gate()
    with pytest.raises(Interrupted):
        guarded.connection.exec_command("true")
    assert guarded.started == 0


def test_without_a_page_that_all_share_no_client_is_named(tmp_path):
    guarded = Guarded(tmp_path, "exit 0", announced=False)
    guarded.connection.exec_command("true")
    assert guarded.taken[-1].client is None


def test_of_other_connections_no_client_is_named(tmp_path):
    guarded = Guarded(tmp_path, "", name="local")
    guarded.connection.exec_command("true")
    assert guarded.taken[-1].client == ""
    assert guarded.taken[-1].notes is False


def test_paramiko_notes_a_command_before_it_is_sent_and_sends_none_once_the_run_was_interrupted(
    monkeypatch,
):
    page = RunPage()
    connection: Any = types.SimpleNamespace(before_command=None)
    departure = Departure(connection, types.SimpleNamespace(announced=True, page=page))  # type: ignore[arg-type]
    command = departure.added_to(
        Command("00000001", becomes=False, pipelined=False, supervised=False)
    )
    assert (command.notes, command.client) == (True, "")
    client = Client(None, None)  # type: ignore[arg-type]
    sent: list[bool] = []
    monkeypatch.setattr(client, "_open_session", lambda dummy: None)

    def send(*dummy: object) -> None:
        sent.append(page.may_have_begun("0000000a"))
        raise EOFError

    monkeypatch.setattr(client, "_send", send)
    with departure.noted("0000000a"), pytest.raises(EOFError):
        client.execute("true", None, "", None, connection.before_command)
    assert sent == [True]
    with departure.noted("0000000b"):
        page.close_gate()
        with pytest.raises(Interrupted):
            client.execute("true", None, "", None, connection.before_command)
    assert sent == [True]


def test_no_plugin_sends_a_command_once_the_run_was_interrupted():
    page = RunPage()
    departure = Departure(types.SimpleNamespace(), types.SimpleNamespace(announced=True, page=page))  # type: ignore[arg-type]
    with departure.noted("0000000a"):
        pass
    page.close_gate()
    with pytest.raises(Interrupted), departure.noted("0000000b"):
        raise AssertionError("it went out")
