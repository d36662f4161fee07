# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configurations and plays of the pages, put to use as they stand.

Each belongs to a run that is interrupted.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, follow, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT
from tools.environment import _system_packages

from .claims import Documented, block, command, runs
from .dump import with_pg_dump
from .output import assert_printed

#: A task that is in the middle of its work, on every core and connection of the pages.
_GROWING = Play([tasks.grow()])


@contextmanager
def interrupted(lab: Lab, play: Play) -> Iterator[Run]:
    """Return a run that has got INT in its middle, when its main process has ended."""
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [lab[name] for name in play.hosts])
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        yield run


@runs(block("README.md", "callbacks_enabled = treekill.remote.guardian"))
def test_one_line_in_ansible_cfg_turns_it_on(lab: Lab, web1: Host, documented: Documented) -> None:
    (configuration,) = documented
    with interrupted(lab, dataclasses.replace(_GROWING, configuration=configuration)) as run:
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )
        tasks.wait_until_gone(run, [web1], 5)


@rest
def test_without_that_line_everything_lives_on(lab: Lab, web1: Host) -> None:
    """The control."""
    with interrupted(lab, dataclasses.replace(_GROWING, configuration="[defaults]\n")) as run:
        assert "TREEKILL" not in run.errors, run.story
        assert tasks.alive(run, web1), run.story


def _dump_interrupted(lab: Lab, host: Host, play: str) -> str:
    """Return how the dump of that play has ended.

    All other tasks get a grace of one second.
    """
    files = {"databases.ini": f"[databases]\n{host.name} ansible_user=root\n"}
    where = ["-i", str(lab.inventory), "-i", "databases.ini"]
    with (
        with_pg_dump(host),
        started(
            lab, Play(text=play, files=files, arguments=where, options={"kill_timeout": 1})
        ) as run,
    ):
        until((host.root / "tmp/dump-begun").exists, 40, lambda: f"no dump begins\n{run.story}")
        assert (host.root / "var/backups/app.sql").read_text() == "CREATE TABLE app\n"
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        told = host.root / "tmp/dump-cleaned"
        return told.read_text().strip() if told.exists() else "KILL"


@runs(block("README.md", "pg_dump"))
def test_a_task_gets_the_signal_and_the_time_that_its_variables_say(
    lab: Lab, web1: Host, documented: Documented
) -> None:
    (play,) = documented
    assert _dump_interrupted(lab, web1, play) == "in peace"


@rest
@pytest.mark.parametrize(
    ("without", "ends"), [("kill_children_signal: INT", "TERM"), ("kill_timeout: 60", "KILL")]
)
@runs(block("README.md", "pg_dump"))
def test_without_one_of_these_variables_it_does_not(
    lab: Lab, web1: Host, documented: Documented, without: str, ends: str
) -> None:
    """The control."""
    (play,) = documented
    assert without in play
    assert (
        _dump_interrupted(
            lab, web1, "".join(line for line in play.splitlines(True) if without not in line)
        )
        == ends
    )


_AFTER = "docs/after_kill.md"

#: web2 keeps its children. The recap may show other endings: they depend on the moment.
_TREES = {"web2": {"treekill_kill_children": False}}


@runs(
    block(_AFTER, "after_kill = after_kill.yml"),
    block(_AFTER, "dpkg --configure -a"),
    block(_AFTER, "TREEKILL RECAP"),
)
def test_what_is_run_after_the_kill(
    lab: Lab, web1: Host, web2: Host, documented: Documented
) -> None:
    """The lock is removed if nothing is alive, and stays if something is.

    The recap reports it.
    """
    configuration, after, recap = documented
    locks = {host: host.root / "run/lock/deploy" for host in lab}
    for lock in locks.values():
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    environ = {"TREEKILL_KILL_TIMEOUT": "2", "ANSIBLE_PIPELINING": "1"}
    play = dataclasses.replace(
        _GROWING,
        hosts=("web1", "web2"),
        host_variables=_TREES,
        configuration=configuration,
        files={"after_kill.yml": after},
        environ=environ,
    )
    try:
        with interrupted(lab, play) as run:
            assert not locks[web1].exists(), run.story
            assert locks[web2].exists(), run.story
            assert_printed(recap, run.errors)
    finally:
        for lock in locks.values():
            lock.unlink(missing_ok=True)


_ALWAYS = "docs/always.md"


def _deploying(host: Host) -> bool:
    return any("sleep 600" in process.command for process in host.processes())


@runs(
    block(_ALWAYS, "run_always = true"),
    block(_ALWAYS, "Remove the lock"),
    block(_ALWAYS, "TREEKILL RECAP"),
)
@pytest.mark.parametrize("wanted", [True, pytest.param(False, marks=rest)])
def test_always_runs_after_an_interruption(
    lab: Lab, web1: Host, documented: Documented, wanted: bool
) -> None:
    """The lock is removed. Without the option it stays, which is the control."""
    configuration, text, recap = documented
    lock = web1.root / "run/lock/deploy"
    lock.parent.mkdir(parents=True, exist_ok=True)
    play = Play(
        text=text,
        files={"hosts.ini": f"[web]\n{web1.name} ansible_user=root\n"},
        arguments=["-i", str(lab.inventory), "-i", "hosts.ini"],
        configuration=configuration if wanted else configuration.replace("run_always = true", ""),
    )
    try:
        with started(lab, play) as run:
            until(lambda: _deploying(web1), 40, lambda: f"no task runs\n{run.story}")
            assert lock.exists(), run.story
            INT.fire(run, lab)
            assert run.wait(60) == INT.status, run.story
            assert lock.exists() is not wanted, run.story
            if wanted:
                assert_printed(recap, run.errors)
    finally:
        if lock.exists():
            lock.rmdir()


#: A mount namespace in which /var/log/ansible is a directory of the run: nothing is written to this
#: machine's own.
_OWN_LOG = ["unshare", "--mount", "--propagation", "private", "sh", "-ec"]
_OWN_LOG += [
    (
        "mkdir log; mount -t tmpfs tmpfs /var/log; mkdir /var/log/ansible; mount --bind log "
        '/var/log/ansible; exec "$@"'
    ),
    "own-log",
]

#: A task that has to leave its children alone.
_LEFT: Mapping[str, object] = {
    "name": "Sleep",
    "ansible.builtin.shell": "sleep 1001 & wait",
    "vars": {"treekill_kill_children": False},
}


_JQ = _system_packages.Need("jq", {"apt-get": "jq", "dnf": "jq"})


def _ensure_jq() -> None:
    notes = _system_packages.try_to_install(_JQ)
    if notes:
        pytest.skip(f"jq can't be installed: {notes[0]}")


@runs(block("docs/report.md", "report_path ="), command("jq -r"))
def test_the_report_is_where_it_was_asked_for_and_tells_what_survived(
    lab: Lab, web1: Host, documented: Documented
) -> None:
    configuration, survivors = documented
    _ensure_jq()
    environ = {"ANSIBLE_CALLBACKS_ENABLED": "treekill.remote.guardian", "ANSIBLE_PIPELINING": "1"}
    with started(
        lab, Play([_LEFT], configuration=configuration, before=_OWN_LOG, environ=environ)
    ) as run:
        until(lambda: web1.processes("^sleep 1001"), 40, lambda: f"no task runs\n{run.story}")
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        (report,) = (run.directory / "log/treekill").glob("treekill-*.json")
        shutil.copy(report, run.directory / "report.json")
        told = follow(run, survivors)
        assert told.status == 0, told.errors
        assert re.search(
            r"^web1 \d+ sleep 1001: left: kill_children is false$", told.output, re.MULTILINE
        ), told.output
        assert web1.processes("^sleep 1001"), run.story


@runs(block("docs/report.md", "notify_command ="))
def test_the_verdict_goes_to_the_log_of_the_system(
    lab: Lab, web1: Host, documented: Documented, tmp_path: Path
) -> None:
    """The real logger, with a socket of the test in the place of the machine's own."""
    (configuration,) = documented
    logger = shutil.which("logger")
    if logger is None:
        pytest.skip("there is no logger")
    shim = tmp_path / "bin/logger"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {logger} --socket {tmp_path}/log "$@"\n')
    shim.chmod(0o755)
    play = Play(
        [{"name": "Sleep", "ansible.builtin.command": "sleep 1001"}],
        configuration=configuration,
        environ={
            "ANSIBLE_CALLBACKS_ENABLED": "treekill.remote.guardian",
            "PATH": f"{shim.parent}:{os.environ['PATH']}",
        },
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(f"{tmp_path}/log")
        log.settimeout(30)
        with started(lab, play) as run:
            until(lambda: web1.processes("^sleep 1001"), 40, lambda: f"no task runs\n{run.story}")
            INT.fire(run, lab)
            assert run.wait(60) == INT.status, run.story
            line = log.recv(65536).decode()
            assert " treekill: {" in line, line
            told = json.loads(line[line.index("{") :])
            assert told["verdict"] == run.errors.strip().splitlines()[-1], run.story
