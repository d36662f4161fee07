# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of hosts that need no root, and the message where a kind can't be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.hosts import (
    Host,
    HostIsOff,
    HostsError,
    KindUnavailable,
    Lab,
    NotPossibleHere,
    kinds,
    programs,
)

from .patience import eventually

_REPOSITORY = Path(__file__).resolve().parents[3]
_UID = 64242

#: An account and its subordinate ids, which exist in this mount namespace only: the machine stays
#: as it is.
_BECOME = f"""
set -eu
for file in passwd subuid subgid; do
    touch "/etc/$file"
    cat "/etc/$file" "$1/added-$file" > "$1/$file"
    mount --bind "$1/$file" "/etc/$file"
done
home=$1
shift
cd "$home"
exec setpriv --reuid {_UID} --regid {_UID} --clear-groups \\
    env -i HOME="$home" XDG_RUNTIME_DIR="$home" PATH=/usr/local/bin:/usr/bin:/bin "$@"
"""


@dataclass(frozen=True)
class Ordinary:
    """An ordinary user, with a copy of the test hosts that the user can read."""

    home: Path
    python: str

    def argv(self, *arguments: str) -> list[str]:
        """Return the hosts' command line as this user."""
        start = (
            f"import sys; sys.path.insert(0, {str(self.home)!r}); from tests.support.hosts.cli "
            "import main; sys.exit(main(sys.argv[1:]))"
        )
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            _BECOME,
            "sh",
            str(self.home),
            self.python,
            "-c",
            start,
            *arguments,
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the hosts as this user."""
        return subprocess.run(self.argv(*arguments), capture_output=True, text=True, check=False)


@pytest.fixture
def ordinary() -> Iterator[Ordinary]:
    """An ordinary user that may have user namespaces, as far as this machine allows them."""
    if programs.in_user_namespace():
        pytest.skip("another ordinary user can't be made inside a user namespace")
    # Not below pytest's own directory, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="hosts-ordinary-") as name:
        home = Path(name)
        for package in ("tests/support/hosts", "tools/environment"):
            shutil.copytree(
                _REPOSITORY / package, home / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        for package in ("tests", "tests/support", "tools"):
            shutil.copy(_REPOSITORY / package / "__init__.py", home / package)
        (home / "added-passwd").write_text(f"ordinary:x:{_UID}:{_UID}::{home}:/bin/sh\n")
        for file in ("added-subuid", "added-subgid"):
            (home / file).write_text("ordinary:6000000:65536\n")
        os.chown(home, _UID, _UID)
        user = Ordinary(home, _python_for_all_users())
        yield user


def _python_for_all_users() -> str:
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        check = [
            "setpriv",
            "--reuid",
            str(_UID),
            "--regid",
            str(_UID),
            "--clear-groups",
            python,
            "-c",
            "import sys; sys.exit(sys.version_info < (3, 10))",
        ]
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("no Python 3.10 or newer that ordinary users may run")


@pytest.fixture
def rootless(ordinary: Ordinary) -> Ordinary:
    """An ordinary user that can have rootless labs."""
    said = ordinary.run("kinds")
    if "rootless: yes" not in said.stdout:
        pytest.skip(said.stdout + said.stderr)
    return ordinary


@pytest.fixture
def plain() -> Iterator[Host]:
    """One plain host."""
    with Lab.up(count=1, kind=kinds.PLAIN) as lab:
        yield lab["web1"]


def test_an_ordinary_user_has_a_rootless_lab_around_a_command(rootless: Ordinary) -> None:
    # The machine's own root: a Debian tree would take this user, whose home is new, a minute.
    script = """
        ssh -F "$HOSTS_SSH_CONFIG" web1 \\
            'hostname; id -un; sudo -n id -un; sudo -n -u other id -un; tty'
        SSHPASS="$1" sshpass -e ssh -F "$HOSTS_SSH_CONFIG" -o PubkeyAuthentication=no \\
            -tt secret@web2 'hostname; tty'
        exit 7
    """
    done = rootless.run(
        "run", "--base", "machine", "--", "sh", "-c", script, "sh", "hunter2-battery-staple"
    )
    assert done.stdout.replace("\r", "").split("\n") == [
        "web1",
        "ansible",
        "root",
        "other",
        "not a tty",
        "web2",
        "/dev/pts/0",
        "",
    ], done.stderr
    assert done.returncode == 7
    assert [
        path for path in (rootless.home / "treekill-hosts").rglob("*") if not path.is_dir()
    ] == []


def test_a_rootless_lab_that_stays_is_reached_by_every_command(rootless: Ordinary) -> None:
    try:
        assert (
            "2 namespace hosts are up"
            in rootless.run("up", "--lab", "own", "--base", "machine").stdout
        )
        assert (
            rootless.run(
                "run", "--lab", "own", "--", "sh", "-c", 'ssh -F "$HOSTS_SSH_CONFIG" web2 hostname'
            ).stdout
            == "web2\n"
        )
        assert (
            rootless.run(
                "exec", "--lab", "own", "web1", "--user", "other", "--", "id", "-un"
            ).stdout
            == "other\n"
        )
        assert rootless.run("kill", "--lab", "own", "web1").returncode == 0
        assert "web1 10.213.0.2 port 22, off" in rootless.run("list").stdout
        assert rootless.run("count", "--lab", "own", "--system", "web2").stdout == "3\n"
    finally:
        assert rootless.run("down", "--lab", "own").returncode == 0
    assert rootless.run("list").stdout == ""
    assert subprocess.run(["pgrep", "-r", "R,S,D,T", "-U", str(_UID)], check=False).returncode == 1


def test_a_rootless_lab_needs_a_command_to_be_reached_by(rootless: Ordinary) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(rootless.home)!r}); from tests.support.hosts import "
        "Lab; Lab.up()"
    )
    argv = rootless.argv()
    done = subprocess.run(
        [*argv[: argv.index("-c", 5) + 1], script], capture_output=True, text=True, check=False
    )
    assert "python -m tests.support.hosts run -- COMMAND" in done.stderr


def test_an_ordinary_user_has_a_plain_host(ordinary: Ordinary) -> None:
    done = ordinary.run(
        "run",
        "--kind",
        "plain",
        "--count",
        "1",
        "--",
        "sh",
        "-c",
        'ssh -F "$HOSTS_SSH_CONFIG" web1 id -un',
    )
    assert done.stdout == "ordinary\n", done.stderr


def test_namespace_hosts_are_refused_without_root(ordinary: Ordinary) -> None:
    done = ordinary.run("up", "--kind", "namespace")
    assert done.returncode == 1
    assert "namespace hosts can't run here: they need root" in done.stderr


def test_missing_programs_are_named_with_their_packages(ordinary: Ordinary) -> None:
    missing = shutil.which("sshpass")
    assert missing
    # In a mount namespace of its own the program is no program.
    hide = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount --bind /dev/null "$1" && shift && exec "$@"',
        "sh",
        missing,
    ]
    done = subprocess.run(
        [*hide, *ordinary.argv("up", "--kind", "plain")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "missing: sshpass. As root:" in done.stderr


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        HostsError, match="no kind 'cloud': it is one of auto, namespace, rootless, plain"
    ):
        Lab.up(kind="cloud")


def test_a_plain_host_runs_what_it_is_told_and_sees_it(plain: Host) -> None:
    assert plain.ssh("id -un").stdout == f"{plain.login}\n"
    daemon = plain.spawn(["sleep", "1000"])
    assert [one.id for one in plain.processes()] == [daemon.id]
    plain.ssh("setsid --fork sleep 1001 < /dev/null > /dev/null 2>&1")
    assert eventually(
        lambda: [one.command for one in plain.processes("sleep")] == ["sleep 1000", "sleep 1001"]
    )
    plain.reset()
    assert plain.processes() == []
    assert plain.ssh("true").returncode == 0


def test_a_plain_host_loses_power_and_boots_on_its_old_port(plain: Host) -> None:
    port = plain.port
    daemon = plain.spawn(["sleep", "1000"])
    plain.power_off()
    assert not daemon.id.alive()
    with pytest.raises(HostIsOff):
        plain.power_off()
    plain.boot()
    assert plain.port == port
    assert plain.ssh("true").returncode == 0


def test_a_plain_host_says_what_it_can_not_do(plain: Host) -> None:
    for action in (
        plain.cut,
        plain.heal,
        plain.hide_python,
        lambda: plain.full_disk("/tmp"),
        lambda: plain.run(["true"], user="other"),
    ):
        with pytest.raises(NotPossibleHere, match="web1 is a plain host"):
            action()
    with pytest.raises(KindUnavailable, match="plain hosts have the machine's Python"):
        Lab.up(kind=kinds.PLAIN, python=False)


def test_all_that_a_plain_host_ran_ends_with_it() -> None:
    with Lab.up(count=1, kind=kinds.PLAIN) as lab:
        host = lab["web1"]
        daemon, own = host.spawn(["sleep", "1000"]), host.processes(system=True)
    assert not daemon.id.alive()
    assert not any(one.id.alive() for one in own)
    assert not lab.directory.exists()
