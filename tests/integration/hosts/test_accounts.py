# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts that may log in.

The tests show the ways in which they do, and what sudo lets each do: as on a real server.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hosts import ACCOUNTS, PASSWORD, Host, Lab


@pytest.mark.parametrize("account", ACCOUNTS)
def test_every_account_logs_in_with_the_key_of_the_lab(host: Host, account: str) -> None:
    done = host.ssh("id -un; pwd", account=account)
    assert done.stdout == f"{account}\n{ACCOUNTS[account].home}\n", done.stderr


def test_secret_logs_in_with_the_password(host: Host) -> None:
    done = host.ssh("id -un", account="secret", password=True)
    assert done.stdout == "secret\n", done.stderr


def test_a_wrong_password_is_refused(host: Host) -> None:
    argv = [
        "sshpass",
        "-p",
        "wrong",
        *host.ssh_argv(
            "secret", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"
        ),
        "true",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr


def test_an_unknown_host_key_is_refused(host: Host) -> None:
    done = host.ssh("true", options=["-o", "UserKnownHostsFile=/dev/null"])
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_ansible_needs_no_password_for_sudo_to_any_user(host: Host) -> None:
    assert host.ssh("sudo -n id -un; sudo -n -u other id -un").stdout == "root\nother\n"


def test_secret_needs_its_password_for_sudo(host: Host) -> None:
    assert "a password is required" in host.ssh("sudo -n true", account="secret").stderr
    assert (
        host.ssh("sudo -S -u other id -un", account="secret", stdin=f"{PASSWORD}\n").stdout
        == "other\n"
    )


def test_limited_has_no_sudo(host: Host) -> None:
    assert host.ssh("sudo -n true", account="limited").returncode != 0


@pytest.mark.parametrize("account", ["ansible", "limited"])
def test_ordinary_users_get_a_terminal(host: Host, account: str) -> None:
    done = host.ssh("tty; stty -a", account=account, options=["-tt"])
    assert done.stdout.startswith("/dev/pts/"), done.stderr
    assert done.returncode == 0


def test_a_host_knows_its_name_its_neighbours_and_utf_8(lab: Lab) -> None:
    host, other = lab["web1"], lab["web2"]
    done = host.ssh(
        "hostname; getent hosts web2; locale charmap; ls /proc/1/comm /dev/ptmx; touch /tmp/x "
        "/run/y 2>&1"
    )
    assert done.stdout.splitlines()[:3] == ["web1", f"{other.address:<15} web2", "UTF-8"]
    assert "/run/y': Permission denied" in done.stdout


def test_the_inventory_works_as_it_is(lab: Lab) -> None:
    ansible = Path(sys.executable).with_name("ansible")
    program = str(ansible) if ansible.exists() else shutil.which("ansible")
    if program is None:
        pytest.skip("ansible is not installed beside this Python")
    done = subprocess.run(
        [program, "-i", lab.inventory, "all", "-m", "ping", "--become"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count('"ping": "pong"') == len(lab), done.stdout + done.stderr


def test_sshd_logs_to_a_file_that_can_be_read_here(host: Host) -> None:
    host.ssh("true", account="limited")
    assert "Accepted publickey for limited" in host.sshd_log.read_text()
