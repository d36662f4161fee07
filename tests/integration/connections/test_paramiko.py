# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""treekill.remote.paramiko_ssh as a connection.

The tests cover host keys, logins, proxies, files, terminals, and become.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts import PASSWORD, Host, Lab
from tests.support.run.play import PARAMIKO
from tests.support.run.playing import Play, started
from tests.support.run.waiting import until

#: Seconds for a run: some connections on a busy machine.
PATIENCE = 60

UNREACHABLE, FAILED = 4, 2

#: Its result is the line that a test looks for.
WHOAMI: dict[str, Any] = {"name": "Who am I", "ansible.builtin.raw": "id -un"}

NO_KEY = {"ansible_ssh_private_key_file": ""}


@dataclasses.dataclass(frozen=True)
class Told:
    """A run that has ended."""

    status: int | None
    text: str


@dataclasses.dataclass
class Home:
    """The home directory of the user that runs Ansible, with the user's known hosts."""

    lab: Lab
    path: Path

    @property
    def known_hosts(self) -> Path:
        return self.path / ".ssh/known_hosts"

    def play(self, *tasks: dict[str, Any], **more: Any) -> Play:
        """Return a play by paramiko, as this user."""
        environ = {"HOME": str(self.path), **more.pop("environ", {})}
        return Play(
            tasks or (WHOAMI,),
            keywords={"connection": PARAMIKO},
            environ=environ,
            arguments=("-v",),
            **more,
        )

    def run(self, *tasks: dict[str, Any], **more: Any) -> Told:
        """Run the tasks to their end."""
        with started(self.lab, self.play(*tasks, **more)) as run:
            return Told(run.wait(PATIENCE), run.output + run.errors)


@pytest.fixture
def home(lab: Lab, tmp_path: Path) -> Home:
    """A home with the hosts of the lab as known hosts."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/known_hosts").write_text(lab.known_hosts.read_text())
    return Home(lab, tmp_path)


@pytest.fixture
def stranger(home: Home) -> Home:
    """A home that has no host of the lab, and one host that is not here."""
    home.known_hosts.write_text("# mine\nelsewhere " + key_of(home.lab))
    return home


def key_of(lab: Lab) -> str:
    """Return the host key of all hosts in a lab, as the end of a line of known_hosts."""
    return lab.known_hosts.read_text().splitlines()[0].split(" ", 1)[1]


# Host keys.


def test_a_host_that_is_not_known_is_refused_when_no_user_can_be_asked(stranger: Home) -> None:
    before = stranger.known_hosts.read_text()
    told = stranger.run()
    assert told.status == UNREACHABLE, told.text
    assert "is not known (ssh-ed25519, SHA256:" in told.text
    assert "there is no user to ask" in told.text
    assert "NOT CONFIRMED" not in told.text, (
        f"a kill order was sent, though nothing can have been started\n{told.text}"
    )
    assert stranger.known_hosts.read_text() == before


def test_new_hosts_are_added_below_what_is_there_each_once_by_workers_at_once(
    stranger: Home,
) -> None:
    before = stranger.known_hosts.read_text()
    told = stranger.run(
        WHOAMI, hosts=("web1", "web2"), environ={"ANSIBLE_PARAMIKO_HOST_KEY_AUTO_ADD": "true"}
    )
    assert told.status == 0, told.text
    text = stranger.known_hosts.read_text()
    assert text.startswith(before)
    key = " ".join(key_of(stranger.lab).split()[:2])
    added = text.removeprefix(before).strip().splitlines()
    assert sorted(added) == sorted(f"{host.address} {key}" for host in stranger.lab)
    again = stranger.run(WHOAMI, hosts=("web1", "web2"))
    assert again.status == 0, again.text


@pytest.mark.parametrize(("answer", "status"), [("yes", 0), ("no", UNREACHABLE)])
def test_the_user_is_asked_about_a_new_host(stranger: Home, answer: str, status: int) -> None:
    before = stranger.known_hosts.read_text()
    with started(stranger.lab, stranger.play(terminal=True)) as run:
        until(lambda: "(yes/no)?" in run.output, PATIENCE, lambda: f"no question\n{run.story}")
        assert run.terminal is not None
        run.terminal.write(f"{answer}\r".encode())
        assert run.wait(PATIENCE) == status, run.story
    assert (stranger.known_hosts.read_text() == before) is (answer == "no")


@pytest.mark.parametrize("auto_add", ["false", "true"])
def test_a_host_with_another_key_is_refused(home: Home, auto_add: str) -> None:
    other = (home.lab.directory / "key.pub").read_text().split()[1]
    home.known_hosts.write_text(
        home.known_hosts.read_text().replace(key_of(home.lab).split()[1], other)
    )
    before = home.known_hosts.read_text()
    told = home.run(environ={"ANSIBLE_PARAMIKO_HOST_KEY_AUTO_ADD": auto_add})
    assert told.status == UNREACHABLE, told.text
    assert "host key mismatch for " + home.lab["web1"].address in told.text
    assert home.known_hosts.read_text() == before


@pytest.mark.parametrize(
    "setting",
    [{"host_key_checking": False}, {"host_key_auto_add": True, "record_host_keys": False}],
    ids=["unchecked", "unrecorded"],
)
def test_what_is_not_to_be_recorded_is_not(stranger: Home, setting: dict[str, object]) -> None:
    before = stranger.known_hosts.read_text()
    told = stranger.run(sections={"paramiko_connection": setting})
    assert told.status == 0, told.text
    assert stranger.known_hosts.read_text() == before


# Proxies.

PROXY = """
import os, select, socket, sys
host, port, log = sys.argv[1:]
open(log, "a").write(f"{host} {port}\\n")
there = socket.create_connection((host, int(port)))
while True:
    for ready in select.select([0, there], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else there.recv(65536)
        if not data:
            sys.exit()
        os.write(1, data) if ready is there else there.sendall(data)
"""


@pytest.mark.parametrize("variable", ["ansible_paramiko_proxy_command", "ansible_ssh_common_args"])
def test_the_way_leads_through_a_proxy_command(home: Home, variable: str) -> None:
    log, program = home.path / "log", home.path / "proxy.py"
    program.write_text(PROXY)
    command = f"{shlex.quote(sys.executable)} {program} %h %p {log}"
    told = home.run(
        variables={
            variable: command
            if "proxy" in variable
            else f'-o Compression=yes -o "ProxyCommand={command}"'
        }
    )
    assert told.status == 0, told.text
    assert log.read_text() == f"{home.lab['web1'].address} 22\n"


def test_a_proxy_command_that_fails_is_heard(home: Home) -> None:
    told = home.run(
        variables={"ansible_paramiko_proxy_command": "sh -c 'echo the bridge is up >&2; exit 1'"}
    )
    assert told.status == UNREACHABLE, told.text
    assert "the bridge is up" in told.text


# Logins.

SECRET = {"ansible_user": "secret", **NO_KEY}


def test_a_password_opens(home: Home) -> None:
    told = home.run(variables={**SECRET, "ansible_password": PASSWORD})
    assert told.status == 0, told.text
    assert "secret" in told.text


@pytest.mark.parametrize("password", [{}, {"ansible_password": "wrong"}], ids=["none", "wrong"])
def test_a_user_that_is_not_let_in_is_told_so(home: Home, password: dict[str, str]) -> None:
    told = home.run(variables={**SECRET, **password})
    assert told.status == UNREACHABLE, told.text
    assert "Failed to authenticate as secret" in told.text
    assert "Traceback" not in told.text


@pytest.fixture
def dialogue(home: Home) -> Iterator[Host]:
    """A host that asks for the password in a dialogue, and in no other way."""
    host = home.lab["web1"]
    config = host.root / "etc/ssh/sshd_config"
    before = config.read_text()
    config.write_text(
        before.replace("PasswordAuthentication yes", "PasswordAuthentication no").replace(
            "KbdInteractiveAuthentication no", "KbdInteractiveAuthentication yes"
        )
    )
    host.reset()
    yield host
    config.write_text(before)
    host.reset()


def test_a_password_opens_where_it_is_asked_for_in_a_dialogue(home: Home, dialogue: Host) -> None:
    told = home.run(variables={**SECRET, "ansible_password": PASSWORD})
    assert told.status == 0, told.text


# Commands.


def _check(*conditions: str) -> dict[str, Any]:
    return {"name": "Check", "ansible.builtin.assert": {"that": list(conditions)}}


@pytest.mark.parametrize(("pty", "terminal"), [(True, True), (False, False)], ids=["pty", "no pty"])
def test_a_terminal_is_there_if_it_is_wanted(home: Home, pty: bool, terminal: bool) -> None:
    look = {
        "name": "Look",
        "ansible.builtin.raw": "if test -t 1; then echo a terminal; else echo none; fi",
        "register": "seen",
    }
    told = home.run(
        look,
        _check(f"seen.stdout is search('{'a terminal' if terminal else 'none'}')"),
        sections={"paramiko_connection": {"pty": pty}},
    )
    assert told.status == 0, told.text


def test_a_loop_has_one_connection_and_a_reset_ends_it(home: Home) -> None:
    """sshd reports the port of its client."""
    loop = {
        "name": "Look",
        "ansible.builtin.shell": "echo $SSH_CONNECTION",
        "loop": [1, 2, 3],
        "register": "seen",
    }
    told = home.run(
        loop,
        _check("seen.results | map(attribute='stdout') | unique | length == 1"),
        {"ansible.builtin.meta": "reset_connection"},
        WHOAMI,
    )
    assert told.status == 0, told.text


@pytest.mark.parametrize("pipelining", [False, True], ids=["file", "pipelining"])
def test_much_output_on_both_streams_comes_back_whole(home: Home, pipelining: bool) -> None:
    """It is more than the window of a channel, 2 MB."""
    write = (
        "head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2; exit 3"
    )
    task = {
        "name": "Write",
        "ansible.builtin.shell": write,
        "register": "seen",
        "ignore_errors": True,
        "no_log": True,
    }
    check = _check("seen.rc == 3", "seen.stdout == 'x' * 3000000", "seen.stderr == 'y' * 3000000")
    told = home.run(task, check, variables={"ansible_pipelining": pipelining})
    assert told.status == 0, told.text[-3000:]


def test_files_go_both_ways(home: Home) -> None:
    source, back = home.path / "source", home.path / "back"
    source.write_bytes(bytes(range(256)) * 2000)
    copy = {
        "name": "Put",
        "ansible.builtin.copy": {"src": str(source), "dest": "/tmp/a name with spaces"},
    }
    fetch = {
        "name": "Get",
        "ansible.builtin.fetch": {
            "src": "/tmp/a name with spaces",
            "dest": str(back),
            "flat": True,
        },
    }
    told = home.run(copy, fetch)
    assert told.status == 0, told.text
    assert back.read_bytes() == source.read_bytes()


def test_a_connection_that_is_lost_makes_the_host_unreachable(home: Home) -> None:
    told = home.run(
        {"name": "Saw", "ansible.builtin.raw": "pkill -KILL -u ansible sshd; sleep 600"}
    )
    assert told.status == UNREACHABLE, told.text
    assert "was lost while a command was running" in told.text


# Become.

BECOME: dict[str, Any] = {"ansible_user": "secret", "ansible_become": True}


@pytest.mark.parametrize("pipelining", [False, True], ids=["tty", "pipelining"])
def test_a_password_makes_root_and_leaves_no_trace_in_the_output(
    home: Home, pipelining: bool
) -> None:
    module = {"name": "Module", "ansible.builtin.command": "id -un", "register": "module"}
    raw = {**WHOAMI, "register": "raw"}
    check = _check("module.stdout == 'root'", "raw.stdout | trim == 'root'", "raw.stderr == ''")
    told = home.run(
        module,
        raw,
        check,
        variables={**BECOME, "ansible_become_password": PASSWORD, "ansible_pipelining": pipelining},
    )
    assert told.status == 0, told.text


@pytest.mark.parametrize("pipelining", [False, True], ids=["tty", "pipelining"])
@pytest.mark.parametrize(
    ("password", "message"),
    [
        ({"ansible_become_password": "wrong"}, "Incorrect sudo password"),
        ({}, "Missing sudo password"),
    ],
)
def test_a_password_that_does_not_make_root_is_an_error_in_the_words_of_core(
    home: Home, pipelining: bool, password: dict[str, str], message: str
) -> None:
    told = home.run(
        {"name": "Module", "ansible.builtin.command": "id -un"},
        variables={**BECOME, **password, "ansible_pipelining": pipelining},
    )
    assert told.status == FAILED, told.text
    assert message in told.text
    assert "NOT CONFIRMED" not in told.text, told.text


# The library.


def test_without_the_library_there_is_one_clear_error(home: Home) -> None:
    (home.path / "none").mkdir()
    (home.path / "none/paramiko.py").write_text("raise ImportError('No module named paramiko')\n")
    told = home.run(environ={"PYTHONPATH": str(home.path / "none")})
    assert told.status == FAILED, told.text
    message = (
        "the connection plugin treekill.remote.paramiko_ssh needs the Python library paramiko on "
        "the controller"
    )
    results = [line for line in told.text.splitlines() if line.startswith("fatal:")]
    assert len(results) == 1, told.text
    assert message in json.dumps(results), told.text
    assert "Traceback" not in told.text
