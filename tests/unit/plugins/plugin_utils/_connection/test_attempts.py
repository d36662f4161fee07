# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core's own ssh plugin, with a client that fails.

For all attempts it is known whether a command can have been started, also with no_log.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.attempts import Attempts

REFUSED = "ssh: connect to host web1 port 22: Connection refused"
LOST = "Connection to web1 closed by remote host."


@pytest.mark.parametrize("no_log", [False, True])
@pytest.mark.parametrize("in_data", [None, b"data"])
@pytest.mark.parametrize(
    ("said", "had_no_session"),
    [
        ([REFUSED], True),
        ([LOST], False),
        ([LOST, REFUSED], False),
        ([REFUSED, REFUSED], True),
        ([REFUSED, LOST], False),
    ],
)
def test_no_session_is_one_that_no_attempt_had(said, had_no_session, in_data, no_log, tmp_path):
    connection = with_client(tmp_path, said, reads=in_data is not None, no_log=no_log)
    attempts = Attempts(connection)
    attempts.begin()
    with pytest.raises(AnsibleConnectionFailure) as raised:
        connection.exec_command("true", in_data=in_data, sudoable=False)
    assert not list(tmp_path.glob("words.*")), "each word was printed"
    assert attempts.had_no_session(raised.value) is had_no_session
    attempts.begin()
    assert attempts.had_no_session(AnsibleConnectionFailure("Connection reset by peer")) is False


def test_another_plugin_has_its_error_alone():
    connection = connection_loader.get("local", PlayContext())
    assert Attempts(connection).had_no_session(AnsibleConnectionFailure(REFUSED))
    assert not Attempts(connection).had_no_session(AnsibleConnectionFailure(LOST))


def with_client(folder: Path, said: list[str], *, reads: bool, no_log: bool):
    """Return a connection whose client fails, and prints one of these at each attempt."""
    for number, words in enumerate(said):
        (folder / f"words.{number}").write_text(f"{words}\n")
    client = folder / "ssh"
    client.write_text(
        f'#!/bin/sh\n{"cat > /dev/null" if reads else ""}\nset -- {folder}/words.*\ncat "$1" >&2\n'
        'rm "$1"\nexit 255\n'
    )
    client.chmod(0o755)
    context = PlayContext()
    context.no_log = no_log
    connection = connection_loader.get("ssh", context)
    connection.set_options(
        direct={
            "host": "web1",
            "ssh_executable": str(client),
            "reconnection_retries": len(said) - 1,
            "control_path_dir": str(folder),
        }
    )
    return connection
