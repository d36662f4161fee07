# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A transaction is recognised by executable and lock, on real processes.

Each of them is in the tree of a control that signals nothing.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._tree import (
    transactions as transactions_of_module,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    CARRIES,
    IN_TRANSACTION,
    READS,
    TrackedProcess,
    TreeControl,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch
from ansible_collections.treekill.remote.plugins.module_utils._tree.transactions import (
    MODULES,
    PROGRAMS,
    Transactions,
)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="an executable of root's has to be made for these tests"
)

#: Locks the files that it is given, reports that, and waits for the end of its input.
HOLDER = """
import fcntl, os, sys
held = [os.open(name, os.O_RDWR | os.O_CREAT) for name in sys.argv[1:]]
for one in held:
    fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def started():
    """Return a function that starts a process, and returns it when it is ready."""
    running = []

    def start(command, **options):
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            universal_newlines=True,
            start_new_session=True,
            **options,
        )
        running.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in running:
        # A child that lives on would hold the output open, and be waited for.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def program(tmp_path):
    """Return a function that returns the path of a shell under another name, and of an owner."""

    def make(name, owner=0):
        (tmp_path / "bin").mkdir(exist_ok=True)
        path = tmp_path / "bin" / name
        shutil.copy(os.path.realpath("/bin/bash"), path)
        os.chown(path, owner, owner)
        return str(path)

    return make


def transactions(*pids, programs=PROGRAMS, modules=MODULES, clock=time.monotonic):
    """Return the control of a tree with these processes, and what it knows of transactions."""
    table = ProcTable()
    search = TreeSearch(CookieMatch("0123456789abcdef", "89abcdef"), table, os.getpid())

    def send(process, signal):
        assert not signal, "a look signals nothing"

    control = TreeControl(search, table, send, clock, time.sleep)
    for pid in pids:
        process = table.process(pid)
        control.processes[process.id] = tracked = TrackedProcess(process, "child")
        tracked.describe(table, True)
    control.transactions = Transactions(control, programs, modules)
    return control, control.transactions


def is_in(pid, **options):
    """Whether a process counts as in a transaction."""
    return transactions(pid, **options)[1].mark()


def locked(folder, *names):
    (folder / "dpkg").mkdir(exist_ok=True)
    return [str(folder / "dpkg" / name) for name in names]


def shell_with_lock(program, path):
    """Return the command of a shell that holds a lock which it has from a helper of its own."""
    # A lock of flock(2) belongs to the open file: the shell keeps it when the helper has ended.
    return [
        program,
        "-c",
        'exec 9>"$1"; flock -n 9 || exit 1; echo ready; read -r dummy; :',
        "sh",
        path,
    ]


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (("lock-frontend",), True),
        # It solves or downloads.
        (("lock-frontend", "lock"), False),
        (("other",), False),
        ((), False),
    ],
)
def test_a_module_counts_by_the_lock_that_it_holds(started, tmp_path, names, counts):
    process = started([sys.executable, "-c", HOLDER, *locked(tmp_path, *names)])
    assert is_in(process.pid) is counts
    assert not is_in(process.pid, modules="dnf")
    assert not is_in(process.pid, modules="")


def test_a_module_of_dnf_counts_by_the_lock_of_rpm(started, tmp_path):
    process = started([sys.executable, "-c", HOLDER, *locked(tmp_path, ".rpm.lock")])
    assert is_in(process.pid)
    assert not is_in(process.pid, modules="apt")


def test_a_program_with_a_lock_counts_while_it_holds_the_lock(started, program, tmp_path):
    (path,) = locked(tmp_path, "lock")
    dpkg = program("dpkg")
    holder = started(shell_with_lock(dpkg, path))
    waiter = started([dpkg, "-c", 'exec 9>"$1"; echo ready; flock 9; :', "sh", path])
    assert is_in(holder.pid)
    assert not is_in(waiter.pid)
    assert not is_in(holder.pid, programs="rpm")


def test_a_program_that_is_ending_gives_its_locks_up_one_by_one_and_does_not_count(
    started, program, tmp_path, monkeypatch
):
    """An apt-get that was downloading would seem to install. Its locks are read before its end."""
    running = started(shell_with_lock(program("apt-get"), tmp_path / "lock-frontend"))
    files = transactions_of_module.locked_files(running.pid)
    assert is_in(running.pid)
    monkeypatch.setattr(transactions_of_module, "locked_files", lambda dummy: files)
    monkeypatch.setattr(ProcTable, "program", lambda dummy, pid: "apt-get")
    monkeypatch.setattr(transactions_of_module, "_is_of_root", bool)
    assert is_in(running.pid)
    os.killpg(running.pid, signal.SIGKILL)
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    assert not is_in(running.pid)


def test_a_program_without_a_lock_counts_by_its_file(started, program):
    mkfs = started([program("mkfs.some"), "-c", "echo ready; read -r dummy; :"])
    assert is_in(mkfs.pid)
    assert not is_in(mkfs.pid, programs="dpkg")


@pytest.mark.parametrize("interpreter", ["/bin/sh", sys.executable])
def test_a_program_counts_also_if_a_script_of_the_same_name_executes_it(
    started, program, tmp_path, interpreter
):
    """The process keeps its number and its name."""
    # The first line of a script can't name a path with a blank.
    link = tmp_path / "interpreter"
    link.symlink_to(interpreter)
    script = tmp_path / "mkfs.some"
    words = [program("mkfs.some"), "-c", "echo done; read -r dummy; :"]
    quoted = " ".join(map(shlex.quote, words))
    text = (
        f"echo ready; read -r dummy; exec {quoted}"
        if interpreter == "/bin/sh"
        else f"import os; print('ready', flush=True); input(); os.execv({words[0]!r}, {words!r})"
    )
    script.write_text(f"#!{link}\n{text}\n")
    script.chmod(0o755)
    process = started([str(script)])
    dummy, watched = transactions(process.pid)
    assert not watched.mark()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    assert watched.mark()


def test_the_file_of_another_user_than_root_does_not_count(started, program, tmp_path):
    (path,) = locked(tmp_path, "lock")
    assert not is_in(started(shell_with_lock(program("dpkg", 1000), path)).pid)


def test_a_name_that_a_process_gives_itself_does_not_count(started, tmp_path):
    (path,) = locked(tmp_path, "lock")
    script = 'exec 9>"$1"; flock -n 9; printf dpkg > /proc/$$/comm; echo ready; read -r dummy; :'
    job = started(
        [
            "/bin/bash",
            "-c",
            f"exec -a /usr/bin/dpkg bash -c '{script}' sh \"$1\"",
            "sh",
            path,
        ]
    )
    assert ProcTable().process(job.pid).comm == "dpkg"
    assert ProcTable().arguments(job.pid)[0] == b"/usr/bin/dpkg"
    assert not is_in(job.pid)


def test_what_is_around_a_transaction_takes_part_in_it(started, program, tmp_path):
    (path,) = locked(tmp_path, "lock")
    dpkg = program("dpkg")
    script = 'exec 9>"$0"; flock -n 9; echo ready; sleep 1001; :'
    shell = started(
        [
            "/bin/bash",
            "-c",
            f"(exec -a other sleep 1000 >/dev/null) & {dpkg} -c '{script}' {path} | cat; :",
        ]
    )
    table = ProcTable()
    deadline = time.monotonic() + 20
    while True:
        pids = [shell.pid]
        for pid in pids:
            pids += table.children(pid)
        commands = {b" ".join(table.arguments(pid)) for pid in pids}
        # Before they execute these, there are just as many: flock, and forks of the shell.
        if commands >= {b"sleep 1001", b"other 1000", b"cat"}:
            break
        assert time.monotonic() < deadline, commands
        time.sleep(0.01)
    control, found = transactions(*pids)
    assert found.mark()
    how = {tracked.process.comm: tracked.finishes for tracked in control.living()}
    words = {
        b" ".join(table.arguments(tracked.process.id.pid)): tracked.finishes
        for tracked in control.living()
    }
    assert how["dpkg"] == IN_TRANSACTION
    assert words[b"sleep 1001"] == IN_TRANSACTION
    assert how["cat"] == READS
    assert words[b"other 1000"] == 0
    assert how["bash"] == CARRIES


def test_a_holder_gets_a_moment_after_it_has_given_its_lock_back(started, tmp_path):
    now = [100.0]
    process = started(
        [
            sys.executable,
            "-c",
            HOLDER.replace(
                "sys.stdin.read()",
                "sys.stdin.readline(); os.close(held[0]); print('free', flush=True);"
                " sys.stdin.read()",
            ),
            *locked(tmp_path, "lock-frontend"),
        ]
    )
    dummy, found = transactions(process.pid, clock=lambda: now[0])
    assert found.mark()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "free\n"
    assert found.mark()
    now[0] += 1.0
    assert found.mark()
    now[0] += 1.5
    assert not found.mark()


def test_nothing_is_left_to_finish_when_the_time_is_over(started, tmp_path):
    process = started([sys.executable, "-c", HOLDER, *locked(tmp_path, "lock-frontend")])
    control, found = transactions(process.pid)
    assert found.mark()
    found.give_up()
    (tracked,) = control.living()
    assert not found.mark()
    assert control.is_target(tracked)
    assert tracked.unfinished
