# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of a kill pass, run as a host runs it.

A shell runs it, with whatever interpreter is there, or none.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import to_json
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.plugin_utils._payload import cache, shell_kill_pass
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.bundler import ProgramTexts
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    parse_report,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
)

from tests.unit.plugins.module_utils.process_namespace import ProcessNamespace, read_lines
from tests.unit.plugins.module_utils.tree_kinds import COOKIE, KINDS, LEASE, RUN, Kind, end, need
from tools.environment._made_pythons import every_python

SHELLS = [
    shell for shell in ("dash", "busybox ash", "bash") if shutil.which(shell.split(maxsplit=1)[0])
]
OLD_PYTHONS = (
    "python2",
    "python2.7",
    "python3.5",
    *map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python2.7")),
)
#: Kinds for the other shells than the first.
EVERY_SHELL = (
    "background",
    "root that ignores TERM, HUP and INT",
    "daemon beside the root",
    "first thread gone",
)
SHELL_ROWS = [
    (kind, shell)
    for kind in KINDS
    if not kind.swift
    for shell in SHELLS[: None if kind.name in EVERY_SHELL else 1]
]
#: A Linux argument may have 128 KiB. sudo writes a command line to the system's log, a line for
#: each KiB.
LONGEST = 49 * 1024


@pytest.fixture
def namespace() -> Iterator[ProcessNamespace]:
    with ProcessNamespace() as running:
        yield running


def request(**options) -> KillRequest:
    return KillRequest(RUN, LEASE, "n0", **{"timeout": 10.0, "arrival_timeout": 0.3, **options})


def start(namespace: ProcessNamespace, kind: Kind) -> set[int]:
    before = set(namespace.processes())
    read_lines(namespace.spawn(kind.command()), kind.ready)
    return (
        set(namespace.wait_for(lambda now: len(set(now) - before) >= kind.alive, "the tree"))
        - before
    )


@pytest.mark.parametrize(
    "python", every_python().values(), ids=lambda one: ".".join(map(str, one.version))
)
def test_it_runs_on_every_python_that_hosts_have(namespace, python):
    tree = start(namespace, KINDS[0])
    output, errors = namespace.run(["/bin/sh", "-c", kill_command(request(), [str(python.path)])])
    report = parse_report(output, "n0")
    assert {process.pid for process in report.gone} == tree
    assert (report.method, report.survivors, errors) == ("proc", (), "")
    assert namespace.processes() == {}


@pytest.mark.parametrize(("kind", "shell"), SHELL_ROWS, ids=repr)
def test_without_python_the_shell_does_it(namespace, kind, shell):
    need(kind)
    read_lines(namespace.spawn(["/bin/sh", "-c", "echo ready; exec sleep 1000"]), 1)
    bystander = set(
        namespace.wait_for(
            lambda now: [process.arguments[0] for process in now.values()] == ["sleep"],
            "the bystander",
        )
    )
    start(namespace, kind)

    def is_alive():
        return set(namespace.processes()) != bystander

    command = kill_command(request(timeout=1.0 if kind.resists else 20.0), []).replace(
        "/bin/sh -c", f"{shell} -c"
    )

    def once():
        report = parse_report(namespace.run([*shell.split(), "-c", command])[0], "n0")
        return report, report.survivors

    reports = end(kind, is_alive, once)
    assert {report.method for report in reports} == {"shell"}
    assert sum(len(report.gone) for report in reports) >= kind.alive - 1


@pytest.mark.parametrize("pythons", [[sys.executable], []], ids=["python", "no python"])
@pytest.mark.parametrize(
    "shell", ["/bin/bash", *filter(None, map(shutil.which, ("tcsh", "fish", "zsh")))]
)
def test_it_passes_through_the_login_shell_of_sudo_i(namespace, pythons, shell):
    tree = start(namespace, KINDS[0])
    words = ["/bin/sh", "-c", kill_command(request(), pythons)]
    # It escapes all but these with a backslash, and so loses newlines and leaves dollars to the
    # shell.
    output, errors = namespace.run(
        [shell, "-c", " ".join(re.sub(r"([^a-zA-Z0-9_$-])", r"\\\1", word) for word in words)]
    )
    report = parse_report(output, "n0")
    assert {process.pid for process in report.gone} == tree
    assert (report.survivors, errors) == ((), "")


def test_interpreters_that_are_missing_too_old_or_broken_are_passed_over(namespace, tmp_path):
    for name, status in (("old", 97), ("ancient", 2), ("broken", 1)):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/tried\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    start(namespace, KINDS[0])
    names = [
        str(tmp_path / "missing"),
        *(str(tmp_path / name) for name in ("old", "ancient", "broken")),
        sys.executable,
    ]
    output, dummy = namespace.run(["/bin/sh", "-c", kill_command(request(), names)])
    assert parse_report(output, "n0").method == "proc"
    assert (tmp_path / "tried").read_text().split() == ["old", "ancient", "broken"]


def test_a_python_that_is_too_old_says_so_before_it_reads_what_it_cannot_understand():
    old = next(
        (
            path
            for path in OLD_PYTHONS
            if shutil.which(path)
            and subprocess.run(
                [path, "-c", "pass"], check=False, stderr=subprocess.DEVNULL
            ).returncode
            == 0
        ),
        None,
    )
    if old is None:
        pytest.skip(f"none of these runs here: {', '.join(OLD_PYTHONS)}")
    line = kill_command(request(), ["PYTHON"])
    text = subprocess.run(
        ["/bin/sh", "-c", line.replace("exec /bin/sh -c", "printf %s")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    words = shlex.split(text)
    program = words[words.index("-c") + 1]
    assert subprocess.run([old, "-S", "-c", program], check=False).returncode == 97


def test_the_command_line_is_short_and_quoted_for_any_number_of_shells():
    line = kill_command(request(), ["/usr/bin/python3", "python3"])
    assert len(line) < LONGEST
    assert line.isascii()
    # One line, without anything that a login shell expands within quotes.
    assert not re.search(r"[$!\n]", line)
    for dummy in range(3):
        line = shlex.quote(f"/bin/sh -c {shlex.quote(line)}")
    assert len(line) < 128 * 1024


def test_the_script_for_a_shell_means_what_was_written():
    """A shell prints both texts as it has understood them."""

    def understood(text):
        function = f"all() {{\n{text}\n}}\ndeclare -f all"
        return subprocess.run(
            ["bash", "--posix", "-c", function], check=True, capture_output=True, text=True
        ).stdout

    written = Path(shell_kill_pass.__file__).with_name("kill_pass.sh").read_text()
    sent = shell_kill_pass.shell_text()
    assert len(sent) < len(written)
    assert understood(sent) == understood(written)


def test_the_shell_also_lets_a_process_clean_up(namespace, tmp_path):
    scratch, script = tmp_path / "scratch", tmp_path / "script"
    scratch.mkdir()
    script.write_text(
        f'trap "sleep 0.3 && rm -r {scratch}; exit 1" EXIT; echo ready; while :; do sleep 1000; '
        "done"
    )
    read_lines(namespace.spawn(["/bin/sh", "-c", f"export {COOKIE}; bash {script}; true"]), 1)
    output, dummy = namespace.run(["/bin/sh", "-c", kill_command(request(timeout=50.0), [])])
    report = parse_report(output, "n0")
    assert report.method == "shell"
    assert not scratch.exists()
    assert not namespace.processes()
    assert "KILL" not in {process.ended for process in report.gone}
    assert report.seconds < 50, "the grace is not waited for"


#: Starts one process. On TERM it ends that one, and starts another one under the pid of the first.
GIVES_A_PID_AGAIN = """
import os, signal, sys

def start(kind, seconds, wanted=0):
    pid = os.fork()
    if not pid:
        if os.getpid() != wanted and wanted:
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        environ = dict(os.environ, TREEKILL="spare") if kind == "spare" else os.environ
        os.execvpe("sleep", ["sleep", seconds], environ)
    return pid

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
first = start(sys.argv[1], "1001")
signal.sigwait([signal.SIGTERM])
os.kill(first, signal.SIGKILL)
os.waitpid(first, 0)
while True:
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(first - 1))
    second = start(sys.argv[2], "1002", first)
    if second == first:
        break
    os.waitpid(second, 0)
os.waitpid(second, 0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose a pid")
@pytest.mark.parametrize("first", ["member", "spare"])
def test_a_pid_that_is_given_again_is_that_of_another_process(namespace, tmp_path, first):
    (tmp_path / "job").write_text(GIVES_A_PID_AGAIN)
    python = shlex.quote(sys.executable)
    namespace.spawn(
        ["/bin/sh", "-c", f"export {COOKIE}; {python} {tmp_path}/job {first} member; true"]
    )
    before = namespace.wait_for(
        lambda now: any(process.arguments == ["sleep", "1001"] for process in now.values()),
        "the first one",
    )
    (pid,) = (pid for pid, process in before.items() if process.arguments[0] == "sleep")
    output, dummy = namespace.run(["/bin/sh", "-c", kill_command(request(timeout=2.0), [])])
    report = parse_report(output, "n0")
    assert namespace.processes() == {}
    ended = len({process.start for process in report.gone if process.pid == pid})
    assert (ended, [process.pid for process in report.spared]) == (
        (2, []) if first == "member" else (1, [pid])
    )
    assert report.survivors == ()


#: A grep that returns its list of spared pids only when one of them has changed hands.
LATE_GREP = """#!/bin/sh
found=$({grep} "$@")
status=$?
case "$*" in *TREEKILL=spare*/environ*)
  if [ -e {folder}/termed ] && [ ! -e {folder}/again ]; then
    touch {folder}/listed
    until [ -e {folder}/again ]; do sleep 0.01; done
  fi
esac
printf "%s\\n" "$found"
exit $status
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose a pid")
def test_a_pid_that_was_spared_and_changes_hands_within_one_look_is_ended(namespace, tmp_path):
    """The list of spared pids was right when it was made."""
    signalled, given = "signal.sigwait([signal.SIGTERM])\n", "    if second == first:\n"
    job = "import time\n" + GIVES_A_PID_AGAIN.replace(
        signalled,
        signalled
        + f"open('{tmp_path}/termed', 'w').close()\n"
        + f"while not os.path.exists('{tmp_path}/listed'):\n    time.sleep(0.01)\n",
    ).replace(given, given + f"        open('{tmp_path}/again', 'w').close()\n")
    (tmp_path / "job").write_text(job)
    grep = tmp_path / "bin/grep"
    grep.parent.mkdir()
    grep.write_text(LATE_GREP.format(grep=shutil.which("grep"), folder=tmp_path))
    grep.chmod(0o755)
    python = shlex.quote(sys.executable)
    namespace.spawn(
        ["/bin/sh", "-c", f"export {COOKIE}; {python} {tmp_path}/job spare member; true"]
    )
    namespace.wait_for(
        lambda now: any(process.arguments == ["sleep", "1001"] for process in now.values()),
        "the first one",
    )
    path = f"PATH={grep.parent}:{os.environ['PATH']}"
    output, dummy = namespace.run(
        ["env", path, "/bin/sh", "-c", kill_command(request(timeout=2.0), [])]
    )
    assert (tmp_path / "again").exists()
    assert namespace.processes() == {}
    assert parse_report(output, "n0").survivors == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_proc_without_a_clock_is_no_reason_to_go_on_for_ever(namespace, shell):
    """Mounted with subset=pid, as in hardened units and containers, /proc shows only processes."""
    start(namespace, KINDS[0])
    command = kill_command(request(timeout=20.0), []).replace("/bin/sh -c", f"{shell} -c")
    output, dummy = namespace.run(
        [
            "sh",
            "-c",
            (
                f"mount -t proc -o subset=pid proc /proc; ! [ -e /proc/uptime ] && exec {shell} -c "
                '"$0"'
            ),
            command,
        ]
    )
    report = parse_report(output, "n0")
    assert {process.ended for process in report.gone} == {"TERM"}
    assert report.seconds < 20
    assert namespace.processes() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("interpreters", [[sys.executable], []], ids=["python", "shell"])
@pytest.mark.parametrize(
    "proc",
    [
        ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc; exec "$@"', "x"],
        ["unshare", "--pid", "--fork"],
    ],
)
def test_a_host_that_shows_no_processes_of_its_own_has_it_said(namespace, interpreters, proc):
    """It shows none at all, or those of another pid namespace, whose numbers mean others here."""
    tree = start(namespace, KINDS[0])
    running = namespace.spawn(
        [*proc, "/bin/sh", "-c", kill_command(request(), interpreters)],
        stderr=subprocess.PIPE,
        bare=True,
    )
    output, errors = running.communicate(timeout=60)
    assert (running.returncode, output) == (65, b"")
    assert b"nothing can be found, and nothing was ended" in errors
    assert (b"this host does not show its processes" in errors) == bool(interpreters)
    assert set(namespace.processes()) == tree


def test_hostile_interpreter_names_run_nothing(namespace, tmp_path):
    witness = tmp_path / "witness"
    names = [f"$(touch {witness})", f"'; touch {witness}; '", f"`touch {witness}`", "a b"]
    output, dummy = namespace.run(
        ["/bin/sh", "-c", kill_command(request(arrival_timeout=0.0), names)]
    )
    assert parse_report(output, "n0").method == "shell"
    assert not witness.exists()


@pytest.mark.parametrize(
    ("name", "entry"), [("_kill_pass.main", "main"), ("_supervisor.start_supervisor", "supervise")]
)
def test_all_parts_of_a_program_share_one_namespace_without_a_clash(name, entry):
    defined: dict[str, int] = {}
    parts = ProgramTexts(
        {"_kill_pass.main": "main", "_supervisor.start_supervisor": "supervise"}
    ).parts(name)
    for number, text in enumerate([parts[0], *parts[2::2]]):
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                assert node.name not in defined
                defined[node.name] = number
    assert defined[entry] == 0
    assert len(set(defined.values())) > 2


def test_a_kill_pass_that_is_handed_over_needs_no_part_that_is_not_compressed():
    texts = ProgramTexts({"_kill_pass.main": "main", "_supervisor.start_supervisor": "supervise"})
    assert texts._reached("_kill_pass.main").isdisjoint(cache._OFTEN)


def test_what_most_modules_load_needs_no_part_that_is_compressed():
    first, *later = ProgramTexts(
        {"_kill_pass.main": "main", "_supervisor.start_supervisor": "supervise"}
    ).parts("_supervisor.start_supervisor", handed_over="_kill_pass.main")
    parts = dict(zip(later[::2], later[1::2], strict=True))
    at_once = re.search(r"^loaded = (.*)$", first, re.MULTILINE)
    assert at_once
    at_hand = {*ast.literal_eval(at_once[1]), *cache._OFTEN}
    for name in cache._OFTEN:
        assert set(re.findall(r"^load\('([^']+)'\)", parts[name], re.MULTILINE)) <= at_hand, name


@pytest.mark.parametrize(
    "value",
    [
        "",
        'a"b\\c\n\r\t\0\x7f',
        "äöü€",
        "\U0001f600",
        "\ud800",
        [1, -2, 0.5, None, True, False, {"a": []}],
    ],
)
def test_json_without_the_json_module_says_the_same(value):
    text = to_json(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value
