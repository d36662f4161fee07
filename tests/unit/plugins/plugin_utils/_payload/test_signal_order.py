# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the first signals, on real processes, by both programs of the kill pass."""

import pathlib
import shlex
import shutil
import sys

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    parse_report,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
)

from tests.unit.plugins.module_utils.process_namespace import read_lines
from tests.unit.plugins.module_utils.tree_kinds import COOKIE, LEASE, RUN

#: Writes a letter for each TERM that it gets, and ends a moment after the first one.
COUNTS = """
import os, signal, sys, time
came = []
def on_term(number, frame):
    came.append(number)
    os.write(counted, b"T")
counted = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
signal.signal(signal.SIGTERM, on_term)
print("ready", flush=True)
while not came:
    time.sleep(0.01)
until = time.monotonic() + 0.5
while time.monotonic() < until:
    time.sleep(0.01)
"""

#: Starts that one. On TERM it does what its second argument orders: passes it on (and perhaps
#: forgets its handler first), waits, or ignores it.
WRAPS = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[3], sys.argv[1]])
def on_term(number, frame):
    if sys.argv[2] == "forgets and passes on":
        signal.signal(number, signal.SIG_IGN)
    if sys.argv[2].endswith("passes on"):
        child.terminate()
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "ignores" else on_term)
child.wait()
"""


#: Forks. The fork notes a TERM as its parent would. Then it executes a program.
FORKS = """
import os, signal, sys, time
came = []
signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
pid = os.fork()
if not pid:
    print("ready", flush=True)
    while not came:
        time.sleep(0.001)
    os.execv("/bin/sleep", ["sleep", "1000"])
signal.signal(signal.SIGTERM, signal.SIG_DFL)
os.waitpid(pid, 0)
"""

#: Is taken for a shell, by its name. It waits for that one. Meanwhile it is busy in the kernel: for
#: 0.2 s each time it is ready to run, and a stop does not reach it.
BUSY_SHELL = """
import mmap, subprocess, sys, time
NO_HUGE_PAGES, POPULATE_WRITE = 15, 23
def populate(size):
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        area.madvise(NO_HUGE_PAGES)
        began = time.monotonic()
        area.madvise(POPULATE_WRITE)
        return time.monotonic() - began
size = min(512, int(16 * 0.2 / populate(16 << 20))) << 20
child = subprocess.Popen([sys.argv[1], "-I", "-S", *sys.argv[2:]])
while child.poll() is None:
    populate(size)
"""


@pytest.fixture(params=["python", "shell"])
def kill(request, namespace):
    """Run the kill pass, and return its report."""

    def run(**options):
        asked = KillRequest(
            RUN, LEASE, "n0", **{"arrival_timeout": 0.3, "timeout": 20.0, **options}
        )
        output, dummy = namespace.run(
            [
                "/bin/sh",
                "-c",
                kill_command(asked, [sys.executable] if request.param == "python" else []),
            ]
        )
        return parse_report(output, "n0")

    return run


def start(namespace, folder, script):
    """Run a root shell with this script, and return when it is ready.

    In the script, $0 is a Python, $1 and $2 are the programs, and $3 a file to write to.
    """
    (folder / "counts.py").write_text(COUNTS)
    (folder / "wraps.py").write_text(WRAPS)
    text = script.format(
        python=f"{shlex.quote(sys.executable)} -I -S",
        python_alone=shlex.quote(sys.executable),
        counts=folder / "counts.py",
        wraps=folder / "wraps.py",
        count=folder / "count",
        folder=folder,
    )
    read_lines(namespace.spawn(["/bin/sh", "-c", f"export {COOKIE}; {text}"]), 1)


def count(folder):
    """Return how many signals came."""
    return len((folder / "count").read_text())


@pytest.mark.parametrize("kill", ["python"], indirect=True)
def test_what_executes_a_program_right_after_its_signal_gets_it_once_more(
    kill, namespace, tmp_path
):
    """A fork that had executed nothing when the tree stood still: the signal is lost with it."""
    (tmp_path / "forks.py").write_text(FORKS)
    start(namespace, tmp_path, "{python} {folder}/forks.py; true")
    report = kill()
    assert not namespace.processes()
    assert {process.ended for process in report.gone} == {"TERM"}
    assert report.seconds < 10.0


def test_a_shell_does_not_go_on_with_its_next_command(kill, namespace, tmp_path):
    start(namespace, tmp_path, "{python} {counts} {count}; touch {folder}/next")
    report = kill()
    assert count(tmp_path) == 1
    assert not (tmp_path / "next").exists()
    assert not namespace.processes()
    ended = {process.role: (process.ended, process.seconds) for process in report.gone}
    assert ended["root"][0] == ended["child"][0] == "TERM"
    assert ended["root"][1] >= ended["child"][1] >= 0.4, "the shell ends after its command"


def test_a_script_that_handles_the_signal_gets_it_when_its_command_has_gone(
    kill, namespace, tmp_path
):
    counts = f"{shlex.quote(sys.executable)} -I -S {tmp_path}/counts.py {tmp_path}/count"
    (tmp_path / "script").write_text(
        f"trap 'touch {tmp_path}/trapped; exit' TERM; {counts}; touch {tmp_path}/next"
    )
    start(namespace, tmp_path, "bash {folder}/script; true")
    kill()
    assert count(tmp_path) == 1
    assert (tmp_path / "trapped").exists()
    assert not (tmp_path / "next").exists()


def test_a_script_that_passes_the_signal_on_to_its_background_does_it_alone(
    kill, namespace, tmp_path
):
    (tmp_path / "script").write_text(
        f"trap 'kill $child; wait $child; exit' TERM; {shlex.quote(sys.executable)} -I -S "
        f"{tmp_path}/counts.py {tmp_path}/count & child=$!; wait"
    )
    start(namespace, tmp_path, "bash {folder}/script; true")
    kill()
    assert count(tmp_path) == 1
    assert not namespace.processes()


@pytest.mark.parametrize(
    ("does", "counted", "end"),
    [
        ("passes on", 1, "exited"),
        ("forgets and passes on", 1, "exited"),
        ("waits", 0, "KILL"),
        ("ignores", 1, "TERM"),
    ],
)
def test_a_wrapper_gets_the_signal_alone_if_it_handles_it(
    kill, namespace, tmp_path, does, counted, end
):
    start(namespace, tmp_path, "{python} {wraps} {count} '" + does + "' {counts}; true")
    report = kill(timeout=20.0 if counted else 1.0)
    assert count(tmp_path) == counted
    assert not namespace.processes()
    above = {process.pid: process for process in report.gone}
    (command,) = [
        process
        for process in report.gone
        if above.get(process.ppid) and above[process.ppid].role == "child"
    ]
    assert command.ended == end


def test_with_kill_mode_tree_all_get_it_at_once(kill, namespace, tmp_path):
    start(namespace, tmp_path, "{python} {wraps} {count} waits {counts}; true")
    report = kill(alone=False)
    assert count(tmp_path) == 1
    assert "KILL" not in {process.ended for process in report.gone}


def test_a_pass_that_dies_leaves_a_shell_that_can_be_ended(kill, namespace, tmp_path):
    """It is stopped, with its signal pending: another pass ends it."""
    start(namespace, tmp_path, "trap '' TERM; {python} {counts} {count}; touch {folder}/next")
    first = namespace.spawn(
        [
            "/bin/sh",
            "-c",
            kill_command(
                KillRequest(RUN, LEASE, "n1", arrival_timeout=0.3, timeout=100.0), [sys.executable]
            ),
        ]
    )
    namespace.wait_for(
        lambda now: (tmp_path / "count").exists() and (tmp_path / "count").read_text(),
        "the first signal",
    )
    passes = [
        pid for pid, process in namespace.processes().items() if "nonce=n1" in process.arguments
    ]
    namespace.run(["kill", "-KILL", *map(str, passes)])
    first.wait()
    kill(timeout=1.0)
    assert not namespace.processes()


def test_a_shell_within_a_shell_goes_on_no_more_than_the_outer_one(kill, namespace, tmp_path):
    start(
        namespace,
        tmp_path,
        'bash -c "{python} {counts} {count}; touch {folder}/next"; touch {folder}/later',
    )
    report = kill()
    assert count(tmp_path) == 1
    assert not [name for name in ("next", "later") if (tmp_path / name).exists()]
    seconds = [process.seconds for process in report.gone]
    assert min(seconds) >= 0.4, "no shell ends before the command"


def test_a_shell_that_stops_late_is_held_as_well(kill, namespace, tmp_path):
    """On a loaded host, a process that is ready to run waits for a processor before it stops."""
    shell = tmp_path / "sh"
    shutil.copy(pathlib.Path(sys.base_prefix, "bin/python3").resolve(), shell)
    (tmp_path / "busy.py").write_text(BUSY_SHELL)
    home = shlex.quote(sys.base_prefix)
    start(
        namespace,
        tmp_path,
        f"PYTHONHOME={home} LD_LIBRARY_PATH={home}/lib {shlex.quote(str(shell))} -S"
        " {folder}/busy.py {python_alone} {counts} {count}; true",
    )
    report = kill()
    assert count(tmp_path) == 1
    assert {process.ended for process in report.gone} == {"TERM"}
    assert min(process.seconds for process in report.gone) >= 0.4, "it ends before its command"


def test_a_command_that_ignores_signals_while_it_cleans_up_keeps_its_shell(
    kill, namespace, tmp_path
):
    (tmp_path / "script").write_text(
        f"trap 'trap \"\" INT TERM; sleep 0.5; touch {tmp_path}/cleaned; exit' TERM; echo ready; "
        "while :; do sleep 0.1; done"
    )
    start(namespace, tmp_path, "bash {folder}/script; touch {folder}/next")
    report = kill()
    assert (tmp_path / "cleaned").exists()
    assert not (tmp_path / "next").exists()
    assert next(process.seconds for process in report.gone if process.role == "root") >= 0.4


def test_a_root_whose_children_are_left_gets_its_signal_at_once(kill, namespace, tmp_path):
    start(namespace, tmp_path, "{python} {counts} {count}; touch {folder}/next")
    report = kill(children=False)
    assert [(process.role, process.ended) for process in report.gone] == [("root", "TERM")]
    assert report.seconds < 10
    namespace.run(["kill", "-KILL", *(str(process.pid) for process in report.survivors)])


#: A module that has another process which ends when it does, as multiprocessing has.
TRACKED = """
import os, signal, sys
reading, writing = os.pipe()
if not os.fork():
    os.close(writing)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.read(reading, 1)
    os._exit(0)
os.close(reading)
print("ready", flush=True)
signal.pause()
"""


def test_nothing_waits_for_what_ignores_its_signal(kill, namespace, tmp_path):
    (tmp_path / "ansible-tmp-1").mkdir()
    (tmp_path / "ansible-tmp-1/AnsiballZ_x.py").write_text(TRACKED)
    start(namespace, tmp_path, "{python} {folder}/ansible-tmp-1/AnsiballZ_x.py; true")
    report = kill()
    assert report.seconds < 10
    assert "KILL" not in {process.ended for process in report.gone}
