# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Typed passwords and the run after the kill, which is the only one to get them.

No file, argument list, environment or log has them. All three are typed on a terminal. The run
after the kill logs in, becomes root and decrypts with them, or does nothing.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts import PASSWORD, Host, Lab
from tests.support.run import controller, gate, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run, program
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, KILL, Trigger

from .secrets_hunt import in_files, sampler

_SHARED_MEMORY = Path("/dev/shm")

#: It reports its user and what it has decrypted, and waits at a gate for a pass of the sampler.
AFTER: list[dict[str, Any]] = [
    {
        "name": "Stand at the gate",
        "ansible.builtin.shell": (
            'id -un > /tmp/after-{{ row }}; printf %s "$WORD" | sha256sum >> /tmp/after-{{ row }}; '
        )
        + gate.script("{{ row }}", "after"),
        "environment": {"WORD": "{{ vaulted | hash('md5') }}"},
    }
]


@pytest.fixture
def typed(web1: Host) -> Iterator[dict[str, str]]:
    """A login password that is sudo's as well, and one of a vault; made up for one test."""
    created = {
        "the password": f"pw-{secrets.token_hex(12)}",
        "the vault password": f"vault-{secrets.token_hex(12)}",
    }
    web1.run(["chpasswd"], stdin=f"secret:{created['the password']}\n")
    yield created
    web1.run(["chpasswd"], stdin=f"secret:{PASSWORD}\n")


def encrypted(directory: Path, vault_password: str, value: str) -> str:
    (directory / "vault-password").write_text(vault_password)
    command = [
        program("ansible-vault"),
        "encrypt_string",
        "--vault-id",
        "dev@vault-password",
        "--stdin-name",
        "vaulted",
    ]
    return subprocess.run(
        command, cwd=directory, input=value, capture_output=True, text=True, check=True
    ).stdout


def answer(run: Run, prompt: str, secret: str) -> None:
    """Type it at its prompt."""
    assert run.terminal is not None
    until(lambda: prompt in run.output, 40, lambda: f"no prompt: {prompt}\n{run.story}")
    run.terminal.write(f"{secret}\n".encode())


@pytest.mark.parametrize(
    "trigger", [CTRL_C, pytest.param(KILL, marks=rest)], ids=lambda trigger: trigger.name
)
def test_typed_passwords_are_handed_over_and_stand_nowhere(
    lab: Lab, web1: Host, typed: dict[str, str], tmp_path: Path, trigger: Trigger
) -> None:
    play = Play(
        [tasks.grow()],
        options={"kill_timeout": 1, "after_kill": "after.yml"},
        arguments=["-k", "-K", "--vault-id", "dev@prompt", "-b", "-e", "@vaulted.yml", "-vvvv"],
        files={
            "vaulted.yml": encrypted(tmp_path, typed["the vault password"], "something"),
            "after.yml": json.dumps(AFTER),
        },
        variables={
            "ansible_user": "secret",
            "ansible_ssh_extra_args": (
                "-o PubkeyAuthentication=no -o PreferredAuthentications=password"
            ),
        },
        sections={
            "defaults": {"log_path": "ansible.log"},
            "ssh_connection": {"ssh_args": "-o ControlMaster=no"},
        },
        terminal=True,
    )
    with sampler(typed) as sampled, started(lab, play) as run:
        answer(run, "SSH password:", typed["the password"])
        answer(run, "BECOME password[defaults to SSH password]:", "")
        answer(run, "Vault password (dev):", typed["the vault password"])
        tasks.wait_for_tree(run, [web1])
        if trigger is KILL:
            # On a terminal it is the child of a shell.
            next(
                one.id for one in controller.processes(run.row) if one.ppid == run.process.pid
            ).kill()
        else:
            run.press_ctrl_c()
        gate_of = web1.root / f"tmp/gate-{run.row}-after.ready"
        until(gate_of.exists, 60, lambda: f"nothing is run after the kill\n{run.story}")
        sampled.look_at_all()
        tasks.open_gate(run, web1, "after")
        assert run.wait(60) == (99 if trigger is CTRL_C else 137), run.story
        tasks.wait_until_nothing_is_left(run)
        assert (web1.root / f"tmp/after-{run.row}").read_text().split()[0] == "root"
        assert sampled.findings == set()
        assert "ESTABLISH SSH CONNECTION FOR USER" in (run.directory / "ansible.log").read_text(), (
            "Ansible has not logged"
        )
        new = web1.sshd_log.parents[2]
        places = [
            run.directory,
            _SHARED_MEMORY,
            new,
            *(web1.root / name for name in ("tmp", "run", "dev/shm")),
        ]
        assert in_files(typed, places) == set()
