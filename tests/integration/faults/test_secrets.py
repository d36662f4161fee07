# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No password and no vault secret is in a file, an argument list, an environment or a report.

No log has one either. Short-lived processes are caught so: a sampler reads all of /proc pass after
pass. The run is held in each of two phases: the task in flight, and the kill pass in its grace. A
process holds it that ends only when the test lets it. A phase is left only after a whole pass of
the sampler within it. Before and after that pass, the processes of the phase are seen to be there.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible.plugins.connection import ssh

from tests.support.hosts import PASSWORD, Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run, program
from tests.support.run.waiting import until
from tests.support.trees.triggers import INT, KILL, Trigger

from .secrets_hunt import in_files, sampler

#: From core 2.19 on there are two ways to give ssh a password.
MECHANISMS = (
    ["sshpass", "ssh_askpass"] if "password_mechanism" in ssh.DOCUMENTATION else ["sshpass"]
)

#: Seconds. Longer than two passes of the sampler on a busy machine.
GRACE = 6

_SHARED_MEMORY = Path("/dev/shm")

_SUDO_LOG = "Defaults logfile=/var/log/sudo.log\n"


@pytest.fixture
def host(lab: Lab, web1: Host) -> Iterator[Host]:
    """A host where sudo logs, and the account `secret` can be given a password."""
    rule = web1.root / "etc/sudoers.d/log"
    rule.write_text(_SUDO_LOG)
    rule.chmod(0o440)
    yield web1
    rule.unlink()
    web1.run(["chpasswd"], stdin=f"secret:{PASSWORD}\n")


@dataclass(frozen=True)
class Hidden:
    """Secrets made up for one test, so that nothing of an earlier one is found."""

    password: str
    vault_password: str
    variables: str  #: YAML, encrypted

    @property
    def secrets(self) -> Mapping[str, str]:
        return {"the password": self.password, "the vault password": self.vault_password}

    def play(self, mechanism: str) -> Play:
        return Play(
            [tasks.grow()],
            keywords={"become": True, "vars_files": ["vaulted.yml"]},
            kinds=["background", "setsid", "ignores-signals"],
            options={"kill_timeout": GRACE},
            arguments=["-vvvv", "--vault-password-file", "vault-password"],
            files={"vaulted.yml": self.variables, "vault-password": self.vault_password},
            variables={
                "ansible_user": "secret",
                "ansible_ssh_extra_args": (
                    "-o PubkeyAuthentication=no -o PreferredAuthentications=password"
                ),
            },
            sections={
                "ssh_connection": {"password_mechanism": mechanism},
                "defaults": {"log_path": "ansible.log"},
            },
        )


@pytest.fixture
def hidden(host: Host, tmp_path: Path) -> Iterator[Hidden]:
    """A password that opens the account and its sudo, in a vaulted variable."""
    password, vault_password = f"pw-{secrets.token_hex(12)}", f"vault-{secrets.token_hex(12)}"
    host.run(["chpasswd"], stdin=f"secret:{password}\n")
    (tmp_path / "vault-password").write_text(vault_password)
    variables = [
        _encrypted(tmp_path, name, password)
        for name in ("ansible_password", "ansible_become_password")
    ]
    created = Hidden(password, vault_password, "\n".join(variables))
    yield created
    # What was found there is left over from dead processes, and lasts as long as the machine.
    for finding in in_files(created.secrets, [_SHARED_MEMORY]):
        Path(finding.rpartition(" in ")[2]).unlink()


def _encrypted(directory: Path, name: str, value: str) -> str:
    command = [
        program("ansible-vault"),
        "encrypt_string",
        "--vault-password-file",
        "vault-password",
        "--stdin-name",
        name,
    ]
    return subprocess.run(
        command, cwd=directory, input=value, capture_output=True, text=True, check=True
    ).stdout


def has_kill_pass(host: Host) -> bool:
    """Whether the kill pass itself runs there, inside become.

    The sudo that leads to it has its words as well.
    """
    return any(
        process.user == "root" and re.match(r"\S*python\S* .* lease=", process.command, re.DOTALL)
        for process in host.processes()
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("trigger", [INT, KILL], ids=lambda trigger: trigger.name)
def test_no_secret_is_in_any_process_file_or_log(
    lab: Lab, host: Host, hidden: Hidden, mechanism: str, trigger: Trigger
) -> None:
    with sampler(hidden.secrets) as sampled, started(lab, hidden.play(mechanism)) as run:
        tasks.wait_for_tree(run, [host])
        sampled.look_at_all()
        assert run.process.poll() is None, run.story
        trigger.fire(run, lab)
        until(lambda: has_kill_pass(host), 30, lambda: f"no kill pass\n{run.story}")
        sampled.look_at_all()
        assert has_kill_pass(host), (
            "the grace was too short for the sampler: "
            f"{[one.command[-200:] for one in host.processes()]}\n{run.story}"
        )
        assert run.wait(60) == trigger.status, run.story
        tasks.wait_until_gone(run, [host])
        tasks.wait_until_nothing_is_left(run)
        sampled.look_at_all()
        assert sampled.findings == set()
        _assert_that_it_was_what_it_seems(run, host)
        assert (
            in_files(hidden.secrets, _places(run, host), [run.directory / "vault-password"])
            == set()
        )


def _places(run: Run, host: Host) -> list[Path]:
    """Return where the run may have written.

    Its home, temporary directory and working directory are one. The others are all that is new on
    the host's disk, and its memory.
    """
    new = host.sshd_log.parents[2]
    return [
        run.directory,
        _SHARED_MEMORY,
        new,
        *(host.root / name for name in ("tmp", "run", "dev/shm")),
    ]


def _assert_that_it_was_what_it_seems(run: Run, host: Host) -> None:
    """Assert that there was something to be found.

    The login was by password, sudo logged, and Ansible printed all that it can.
    """
    assert "Accepted password for secret" in host.sshd_log.read_text(), (
        "no user logged in by password"
    )
    assert "secret" in (host.root / "var/log/sudo.log").read_text(), "sudo has not logged"
    assert "ESTABLISH SSH CONNECTION FOR USER" in (run.directory / "ansible.log").read_text(), (
        "Ansible has not logged"
    )


def test_a_secret_that_is_planted_is_found(lab: Lab, host: Host, tmp_path: Path) -> None:
    """The control of the search."""
    planted = {
        "argument": secrets.token_hex(12),
        "environment": secrets.token_hex(12),
        "file": secrets.token_hex(12),
        "name": secrets.token_hex(12),
    }
    (tmp_path / "log").write_text(f"so {planted['file']} it is")
    (tmp_path / planted["name"]).touch()
    with sampler(planted) as sampled:
        assert sampled.findings == set()
        host.spawn(["bash", "-c", "sleep 7206; :", planted["argument"]], user="other")
        host.spawn(["sleep", "7207"], environ={"X": planted["environment"]})
        sampled.look_at_all()
        assert {finding.partition(" in ")[0] for finding in sampled.findings} == {
            "argument",
            "environment",
        }
    assert {finding.partition(" in ")[0] for finding in in_files(planted, [tmp_path])} == {
        "file",
        "name",
    }
