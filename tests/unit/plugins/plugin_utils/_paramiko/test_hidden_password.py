# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-core 2.22 shows no password of a connection, whatever plugin uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PASSWORD = "correct horse"


def play(folder: Path, connection: str) -> str:
    """Return what a play shows that prints the password of its connection."""
    (folder / "play.yml").write_text(
        json.dumps(
            [
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "connection": connection,
                    "vars": {"ansible_password": PASSWORD},
                    "tasks": [{"ansible.builtin.debug": {"msg": "it is {{ ansible_password }}"}}],
                }
            ]
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "web1,", "play.yml"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("connection", ["ansible.builtin.ssh", "treekill.remote.paramiko_ssh"])
def test_the_password_of_a_connection_is_hidden(tmp_path: Path, connection: str):
    pytest.importorskip(
        "ansible.module_utils.secrets", reason="ansible-core before 2.22 hides no secrets"
    )
    shown = play(tmp_path, connection)
    assert "it is $REDACTED$" in shown
    assert PASSWORD not in shown


def test_without_such_a_connection_it_is_shown(tmp_path: Path):
    """The control: the value as such is no secret."""
    assert f"it is {PASSWORD}" in play(tmp_path, "ansible.builtin.local")
