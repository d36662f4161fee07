# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stages of the examples.

A stage makes the state of the hosts that its example needs, and asserts the state that it has to
reach. An example that has no stage here fails its test. Its author adds a stage, which shows that
the example works.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from tests.support.hosts import Host, Lab
from tests.support.run.waiting import until

#: The run that the examples name.
RUN = "8c0e4010f40ee5a5"


@dataclass
class Scene:
    """An example that is about to run.

    `output`: what it printed, when it has run. `files`: beside the playbook, for the stage to add
    to.
    """

    lab: Lab
    output: str = ""
    files: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> Host:
        """The host that examples of modules run on."""
        return self.lab["web1"]


Stage = Callable[[Scene], AbstractContextManager[None]]

STAGES: dict[str, Stage] = {}


def stage(name: str) -> Callable[[Callable[[Scene], Iterator[None]]], None]:
    """Register a generator.

    What is before its `yield` happens before the example. What is behind it is asserted afterwards.
    """

    def register(function: Callable[[Scene], Iterator[None]]) -> None:
        STAGES[name] = contextmanager(function)

    return register


@contextmanager
def session(host: Host, script: str, seen: str) -> Iterator[subprocess.Popen[bytes]]:
    """An ssh session that runs a script.

    It has begun when a process on the host matches `seen`. Its client ends with the block.
    """
    client = subprocess.Popen(
        [*host.ssh_argv(None, "-o", "ControlMaster=no"), script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        until(lambda: host.processes(seen), 20, f"no {seen} runs on {host.name}")
        yield client
    finally:
        client.kill()
        client.wait()
        assert client.stdout is not None
        client.stdout.close()


def root_command(run: str, lease: str, command: str) -> str:
    """Return a command as a worker sends it."""
    return "/bin/sh -c " + shlex.quote(f"export TREEKILL={run}/{lease}/$$/$PPID; {command}; true")


def abandon(host: Host, run: str, lease: str, command: str, seen: str) -> None:
    """Start a command of a run, and kill its client."""
    with session(host, root_command(run, lease, command), seen):
        pass
    sessions = r"^sshd(-session)?: \w+@"
    until(
        lambda: not host.processes(sessions, system=True), 20, f"a session goes on on {host.name}"
    )


@stage("command")
def _command(scene: Scene) -> Iterator[None]:
    yield
    assert (
        scene.host.run(["tar", "--list", "--file", "/var/backups/etc.tar", "etc/passwd"]).stdout
        == "etc/passwd\n"
    )


@stage("shell")
def _shell(scene: Scene) -> Iterator[None]:
    yield
    assert (
        scene.host.run(["tar", "--list", "--file", "/var/backups/etc.tar.gz", "etc/passwd"]).stdout
        == "etc/passwd\n"
    )


@stage("raw")
def _raw(scene: Scene) -> Iterator[None]:
    yield
    assert scene.host.run(["python3", "-c", "print(42)"]).stdout == "42\n"


@stage("script")
def _script(scene: Scene) -> Iterator[None]:
    scene.files["files/migrate.sh"] = '#!/bin/sh\necho "$*" > /tmp/migrated\n'
    yield
    assert (scene.host.root / "tmp/migrated").read_text() == "--to 42\n"


@stage("process_tree_info")
def _process_tree_info(scene: Scene) -> Iterator[None]:
    abandon(scene.host, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    yield
    assert f"{RUN} ?: abandoned, 2 processes" in scene.output, scene.output
    assert "ansible sleep 1001" in scene.output, scene.output
    assert scene.host.processes("^sleep 1001")


@stage("process_tree_kill")
def _process_tree_kill(scene: Scene) -> Iterator[None]:
    host = scene.host
    abandon(host, RUN, "00000001", "sleep 1001", "^sleep 1001")
    for number, lease in ((1002, "89abcdef"), (1003, "01234567")):
        host.spawn(["sleep", str(number)], environ={"TREEKILL": f"{RUN}/{lease}/4711/4710"})
    abandon(host, "0123456789abcdef", "00000002", "sleep 1004", "^sleep 1004")
    host.spawn(["sh", "-c", "echo $$ > /run/exampled.pid; while :; do sleep 1005; done"])
    until((host.root / "run/exampled.pid").exists, 10, "the daemon has not written its pid")
    large = "python3 -c " + shlex.quote(
        'x = bytes(1 << 28).replace(bytes(1), b"x"); import time; time.sleep(1006)'
    )
    with session(host, root_command("fedcba9876543210", "00000003", large), "1006"):
        other = host.spawn(["sleep", "1007"], environ={"TREEKILL": f"{RUN}/00000004/4711/4710"})
        yield
        left = [process.command for process in host.processes() if not process.system]
        assert left == ["sleep 1007"], left
        assert other.id.alive()


def _in_journal(scene: Scene) -> None:
    """Write a journal with a run that is open on the host."""
    head = {
        "version": 1,
        "run": RUN,
        "began": "2026-11-22T10:15:30Z",
        "user": "deploy",
        "controller": {"host": "ci1", "boot": ""},
        "pid": 4711,
    }
    lines = [
        {**head, "program": "ansible-playbook", "playbooks": ["site.yml"], "inventory": ["hosts"]},
        {"opened": "89abcdef", "host": scene.host.name},
        {"settled": "89abcdef", "outcome": "unreachable", "ended": 0, "survivors": 0},
        {"over": "interrupted", "at": "2026-11-22T10:25:30Z"},
    ]
    # Folder of the journal below ANSIBLE_HOME of the run.
    scene.files[f"home/treekill/journal/{RUN}.jsonl"] = "".join(
        json.dumps(line) + "\n" for line in lines
    )


@stage("run_journal_info")
def _run_journal_info(scene: Scene) -> Iterator[None]:
    _in_journal(scene)
    yield
    assert f"2026-11-22T10:15:30Z deploy site.yml [{RUN}]: {scene.host.name}" in scene.output, (
        scene.output
    )
    assert "changed=0" in scene.output, scene.output


@stage("run_journal")
def _run_journal(scene: Scene) -> Iterator[None]:
    _in_journal(scene)
    yield
    assert "changed=1" in scene.output, scene.output


@stage("run_sweep")
def _run_sweep(scene: Scene) -> Iterator[None]:
    _in_journal(scene)
    abandon(scene.host, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    yield
    assert not scene.host.processes("^sleep 1001"), scene.output
    assert f"run {RUN} (site.yml, 2026-11-22T10:15:30Z): " in scene.output, scene.output


@stage("role sweep")
def _sweep(scene: Scene) -> Iterator[None]:
    abandon(scene.host, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    yield
    assert "sleep 1001" in scene.output, scene.output
    assert not scene.host.processes("^sleep 1001"), scene.output


@stage("role sshd_keepalive")
def _sshd_keepalive(scene: Scene) -> Iterator[None]:
    for host in scene.lab:
        config = host.root / "etc/ssh/sshd_config"
        config.write_text("Include /etc/ssh/sshd_config.d/*.conf\n" + config.read_text())
        host.run(["mkdir", "-p", "/etc/ssh/sshd_config.d"])
    yield
    for host in scene.lab:
        told = host.run(["/usr/sbin/sshd", "-T"]).stdout.splitlines()
        assert {"clientaliveinterval 15", "clientalivecountmax 3"} <= {*told}, told
