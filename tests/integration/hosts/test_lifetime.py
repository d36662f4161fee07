# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs come up whole, and nothing of them stays behind, however they end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.hosts import HostsError, Lab, NoSuchLab, labs, state
from tests.support.hosts.programs import SELF

from .patience import SECONDS, eventually
from .traces import Traces

_REPOSITORY = Path(__file__).resolve().parents[3]

#: Brings a lab up, prints its name, and stays.
_OWNER = (
    "import sys; from tests.support.hosts import Lab; lab = Lab.up(count=1); print(lab.name, "
    "flush=True); sys.stdin.read()"
)


def _hosts(*arguments: str) -> str:
    return subprocess.run([*SELF, *arguments], capture_output=True, text=True, check=True).stdout


def _start(argv: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_REPOSITORY,
        start_new_session=True,
    )


def _output(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=SECONDS)[0]


def _finish(process: subprocess.Popen[str]) -> None:
    """Kill it and what it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _output(process)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_down_removes_all_that_up_made() -> None:
    with Lab.up(count=2) as lab:
        traces = Traces(lab)
        daemon = lab["web1"].spawn(["sleep", "1000"])
        found = traces.find()
        assert {lab.spec.net.bridge, f"process {daemon.outer_pid}", str(lab.directory)} <= set(
            found
        )
        assert any("tmpfs" in line for line in found)
    assert traces.find() == []
    assert lab.name not in [one.name for one in labs()]


def test_forty_hosts_answer_each_by_its_name() -> None:
    with Lab.up(count=40) as lab:
        clients = {host.name: _start([*host.ssh_argv(), "hostname"]) for host in lab}
        assert {name: _output(client).strip() for name, client in clients.items()} == {
            name: name for name in clients
        }


def test_a_host_that_does_not_boot_is_named_with_its_log_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(HostsError, match=r"web1 does not boot.*missing"):
        Lab.up(count=2, name="broken", binds={str(tmp_path / "missing"): "/mnt"})
    assert not state.lab_directory("broken").exists()
    assert str(state.lab_directory("broken")) not in Path("/proc/mounts").read_text()


def test_an_exception_in_the_block_takes_the_lab_down() -> None:
    made = []

    def fail() -> None:
        with Lab.up(count=1) as lab:
            made.append(Traces(lab))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert made[0].find() == []


def test_two_labs_at_once_do_not_meet() -> None:
    with Lab.up(count=1) as one, Lab.up(count=1) as other:
        assert not one.spec.net.subnet.overlaps(other.spec.net.subnet)
        one["web1"].spawn(["sleep", "1000"])
        assert other["web1"].processes("sleep") == []
        for lab in (one, other):
            assert lab["web1"].ssh("hostname").stdout == "web1\n"
        traces = Traces(one)
        one.down()
        assert traces.find() == []
        assert other["web1"].ssh("true").returncode == 0


def test_a_name_is_taken_once() -> None:
    with Lab.up(count=1, name="taken"), pytest.raises(HostsError, match="'taken' is up already"):
        Lab.up(count=1, name="taken")
    with pytest.raises(NoSuchLab, match="no lab 'taken'"):
        Lab.load("taken")


def test_another_process_can_take_a_lab_down() -> None:
    with Lab.up(count=1) as lab:
        traces = Traces(lab)
        _hosts("down", "--lab", lab.name)
        assert traces.find() == []


def test_a_lab_of_the_command_line_outlives_it_until_down() -> None:
    _hosts("up", "--count", "1", "--lab", "stays")
    try:
        traces = Traces(Lab.load("stays"))
        assert Lab.load("stays")["web1"].ssh("true").returncode == 0
    finally:
        _hosts("down", "--lab", "stays")
    assert traces.find() == []


def test_every_command_does_what_it_says(lab: Lab) -> None:
    def hosts(command: str, *arguments: str) -> str:
        return _hosts(command, "--lab", lab.name, *arguments)

    daemon = lab["web1"].spawn(["sleep", "1000"], user="other")
    assert hosts("count") == hosts("count", "--match", "sleep", "web1") == "1\n"
    assert hosts("ps").split() == ["web1", str(daemon.pid), "1", "other", "S", "sleep", "1000"]
    assert hosts("exec", "web2", "--user", "limited", "--", "id", "-un") == "limited\n"
    hosts("cut", "web2")
    assert lab["web2"].ssh("true", options=["-o", "ConnectTimeout=1"]).returncode == 255
    hosts("heal", "web2")
    assert lab["web2"].ssh("true").returncode == 0
    hosts("kill", "web1")
    entry = next(
        entry for entry in json.loads(_hosts("list", "--json")) if entry["lab"] == lab.name
    )
    assert [(host["name"], host["on"]) for host in entry["hosts"]] == [
        ("web1", False),
        ("web2", True),
    ]
    hosts("boot", "web1")
    lab["web1"].spawn(["sleep", "1000"])
    hosts("reset")
    assert hosts("count") == "0\n"


def test_a_command_that_fails_says_why(lab: Lab) -> None:
    done = subprocess.run(
        [*SELF, "cut", "--lab", lab.name, "web9"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"hosts: lab {lab.name} has no host 'web9', only web1, web2\n",
    )


def test_the_script_works_from_any_directory(tmp_path: Path) -> None:
    done = subprocess.run(
        [_REPOSITORY / "tests/support/hosts/hosts", "kinds"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "namespace: yes" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_lab_ends_with_its_owner(number: signal.Signals) -> None:
    owner = _start([sys.executable, "-c", _OWNER])
    try:
        traces = Traces(Lab.load(_line(owner)))
        owner.send_signal(number)
        owner.wait()
        eventually(lambda: not traces.find())
    finally:
        _finish(owner)


def test_down_works_after_owner_and_guard_were_killed_and_so_does_the_next_up() -> None:
    for end in (lambda lab: lab.down(), lambda dummy: Lab.up(count=1).down()):
        owner = _start([sys.executable, "-c", _OWNER])
        try:
            lab = Lab.load(_line(owner))
            traces = Traces(lab)
            guard = next(
                pid
                for pid in _pids()
                if b"hosts-guard" in _command(pid) and lab.spec.id.encode() in _command(pid)
            )
            # The guard first: stopped, it can't act on the end of its owner.
            subprocess.run(["kill", "-KILL", str(guard)], check=True)
        finally:
            _finish(owner)
        assert traces.find()
        end(lab)
        assert traces.find() == []


def test_down_cleans_up_after_an_up_that_was_killed_half_way() -> None:
    process = _start([*SELF, "up", "--count", "30", "--lab", "half"])
    try:
        eventually((state.lab_directory("half") / "disk/web1/init.json").exists)
    finally:
        _finish(process)
    traces = Traces(Lab.load("half"))
    assert traces.find()
    _hosts("down", "--lab", "half")
    eventually(lambda: not traces.find())


def test_run_gives_a_command_a_lab_and_its_exit_status() -> None:
    process = _start(
        [
            *SELF,
            "run",
            "--count",
            "1",
            "--",
            "sh",
            "-c",
            'ssh -F "$HOSTS_SSH_CONFIG" web1 hostname; exit 7',
        ]
    )
    assert _output(process) == "web1\n"
    assert process.returncode == 7


def test_run_passes_term_on_and_takes_the_lab_down() -> None:
    process = _start(
        [
            *SELF,
            "run",
            "--count",
            "1",
            "--",
            "sh",
            "-c",
            'trap "echo got TERM; exit 3" TERM; echo "$HOSTS_LAB"; while :; do sleep 0.01; done',
        ]
    )
    try:
        traces = Traces(Lab.load(_line(process)))
        process.terminate()
        assert _output(process) == "got TERM\n"
        assert process.returncode == 3
        assert traces.find() == []
    finally:
        _finish(process)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
