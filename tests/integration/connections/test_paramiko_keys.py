# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""treekill.remote.paramiko_ssh with keys that are not a plain file.

A key may be in an agent, encrypted, or RSA by the old algorithm. Kill orders take such keys too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import paramiko
import pytest

from tests.support.hosts import PASSWORD, Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import started
from tests.support.trees.triggers import INT

from .test_paramiko import NO_KEY, UNREACHABLE, WHOAMI, Home, home

__all__ = ("home",)


def _keygen(*arguments: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *arguments], check=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def encrypted(home: Home) -> dict[str, Any]:
    """The lab's key behind a passphrase, which is no account's password."""
    key = home.path / "encrypted"
    shutil.copy(home.lab.key, key)
    key.chmod(0o600)
    _keygen("-p", "-P", "", "-N", PASSWORD, "-f", str(key))
    return {"ansible_ssh_private_key_file": str(key), "ansible_password": PASSWORD}


@pytest.fixture
def agent(home: Home) -> Iterator[dict[str, str]]:
    """The environment in which an agent with the lab's key is found."""
    socket = home.path / "agent"
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # It listens.
            environ = {"SSH_AUTH_SOCK": str(socket)}
            subprocess.run(
                ["ssh-add", "-q", str(home.lab.key)],
                env={**os.environ, **environ},
                check=True,
                stdin=subprocess.DEVNULL,
            )
            yield environ
        finally:
            process.kill()


def test_an_encrypted_key_opens_with_its_passphrase(home: Home, encrypted: dict[str, Any]) -> None:
    told = home.run(WHOAMI, variables=encrypted)
    assert told.status == 0, told.text


def test_an_encrypted_key_opens_with_no_other(home: Home, encrypted: dict[str, Any]) -> None:
    told = home.run(WHOAMI, variables={**encrypted, "ansible_password": "wrong"})
    assert told.status == UNREACHABLE, told.text
    # paramiko tries these words as the password of the account too, and reports that alone.
    assert "Failed to authenticate" in told.text


def test_a_key_of_an_agent_opens(home: Home, agent: dict[str, str]) -> None:
    told = home.run(WHOAMI, variables=NO_KEY, environ=agent)
    assert told.status == 0, told.text


def test_without_an_agent_that_user_is_not_let_in(home: Home) -> None:
    """The control."""
    told = home.run(WHOAMI, variables=NO_KEY, environ={"SSH_AUTH_SOCK": ""})
    assert told.status == UNREACHABLE, told.text


@pytest.mark.parametrize("key", ["agent", "encrypted"])
def test_a_kill_order_takes_the_same_key(
    home: Home, key: str, request: pytest.FixtureRequest
) -> None:
    """Without a supervisor, only the kill order can end the tree."""
    found = request.getfixturevalue(key)
    how = {"variables": NO_KEY, "environ": found} if key == "agent" else {"variables": found}
    with started(
        home.lab, home.play(tasks.grow(), options={"kill_timeout": 1, "supervise": False}, **how)
    ) as run:
        tasks.wait_for_tree(run, [home.lab["web1"]])
        INT.fire(run, home.lab)
        assert run.wait(40) == INT.status, run.story
        assert re.search(r"^web1 : ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )
        assert not tasks.alive(run, *home.lab), run.story


# RSA, by SHA-2 and by SHA-1.


@pytest.fixture
def rsa(home: Home) -> Iterator[dict[str, Any]]:
    """An RSA key that opens the first host."""
    key = home.path / "rsa"
    _keygen("-t", "rsa", "-b", "2048", "-N", "", "-f", str(key))
    file = home.lab["web1"].root / "home/ansible/.ssh/authorized_keys"
    before = file.read_text()
    file.write_text(before + key.with_suffix(".pub").read_text())
    yield {"ansible_ssh_private_key_file": str(key)}
    file.write_text(before)


@pytest.fixture
def old_fashioned(lab: Lab) -> Iterator[Host]:
    """A host that takes signatures by SHA-1, as all did before OpenSSH 8.8."""
    host = lab["web1"]
    config = host.root / "etc/ssh/sshd_config"
    before = config.read_text()
    config.write_text("PubkeyAcceptedAlgorithms ssh-rsa\n" + before)
    host.reset()
    yield host
    config.write_text(before)
    host.reset()


BY_SHA_1 = "ssh-rsa" in paramiko.Transport._preferred_pubkeys

OLD = {"ansible_paramiko_use_rsa_sha2_algorithms": False}


def test_an_rsa_key_opens_by_sha_2_and_where_that_is_off_not(
    home: Home, rsa: dict[str, Any]
) -> None:
    """Hosts of today refuse SHA-1."""
    told = home.run(WHOAMI, variables=rsa)
    assert told.status == 0, told.text
    told = home.run(WHOAMI, variables={**rsa, **OLD})
    assert told.status == UNREACHABLE, told.text


def test_an_rsa_key_opens_a_host_that_knows_sha_1_only_where_sha_2_is_off(
    home: Home, rsa: dict[str, Any], old_fashioned: Host
) -> None:
    """The option is for this case."""
    if not BY_SHA_1:
        pytest.skip("this paramiko knows RSA by SHA-2 only, as all do from 5 on")
    told = home.run(WHOAMI, variables={**rsa, **OLD})
    assert told.status == 0, told.text
    assert re.search(r"Accepted publickey for ansible .*RSA", old_fashioned.sshd_log.read_text())


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
