# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process table: the lines of /proc, and the ancestors and descendants of processes.

It may have been torn while it was read.
"""

import fcntl
import os
import subprocess
import sys

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
    ancestors,
    descendants,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import (
    ProcTable,
    parse_stat,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.proc_rare import (
    children_by_parent,
    thread_environment,
)
from hypothesis import given
from hypothesis import strategies as st

pids = st.integers(0, 12)
tables = st.dictionaries(pids, st.lists(pids, max_size=5), max_size=12)


def stat_line(pid, comm, state="S", ppid=4, flags=0x400000, threads=1, start=99):
    return b"%d (%s) %s %d 5 5 0 -1 %d 1 2 3 4 5 6 7 8 20 0 %d 0 %d 123 456 184467 1 1 0 0 0\n" % (
        pid,
        comm,
        state.encode(),
        ppid,
        flags,
        threads,
        start,
    )


@given(
    st.integers(1, 1 << 22),
    st.binary(max_size=64),
    st.sampled_from("RSDTtZXI"),
    st.integers(0, 1 << 22),
    st.integers(1, 999),
    st.integers(0, 1 << 60),
)
def test_no_name_can_disturb_what_stands_behind_it(pid, comm, state, ppid, threads, start):
    process = parse_stat(stat_line(pid, comm, state, ppid, threads=threads, start=start))
    assert (process.id, process.ppid, process.state, process.threads) == (
        ProcessId(pid, start),
        ppid,
        state,
        threads,
    )
    assert process.comm == comm.decode("utf-8", "replace")
    assert not process.kernel


@pytest.mark.parametrize(
    "comm", [b"a) R 1 (b", b") S 0 0", b"", b"(((", b")))", b"a\nb", b"\xff\xfe", b"x) Z 9 9"]
)
def test_names_that_look_like_the_line_itself(comm):
    process = parse_stat(stat_line(7, comm))
    assert (process.id, process.ppid, process.state) == (ProcessId(7, 99), 4, "S")


def test_the_kernels_own_are_told_by_their_flag():
    assert parse_stat(stat_line(2, b"kthreadd", flags=0x208040)).kernel


@pytest.mark.parametrize(
    ("state", "threads", "alive"),
    [
        ("S", 1, True),
        ("Z", 1, False),
        ("X", 1, False),
        ("Z", 2, True),
        ("T", 1, True),
        ("D", 1, True),
    ],
)
def test_a_zombie_is_dead_unless_other_threads_of_it_run(state, threads, alive):
    assert Process(ProcessId(7, 1), 1, state, threads).alive is alive


@given(tables, st.lists(pids, max_size=3, unique=True), st.sets(pids, max_size=3))
def test_descendants_are_complete_unique_and_without_what_is_left_out(table, tops, left_out):
    found = descendants(tops, lambda pid: table.get(pid, []), left_out.__contains__)
    assert len(found) == len(set(found))
    assert not set(found) & (left_out | set(tops))
    reached = set(tops)
    while True:
        more = {
            child for pid in reached for child in table.get(pid, []) if child not in left_out
        } | reached
        if more == reached:
            break
        reached = more
    assert set(found) | set(tops) == reached


@given(tables, st.lists(pids, max_size=3, unique=True))
def test_a_parent_comes_before_its_children(table, tops):
    found = [*tops, *descendants(tops, lambda pid: table.get(pid, []), lambda pid: False)]
    for at, pid in enumerate(found[len(tops) :], len(tops)):
        assert any(pid in table.get(parent, []) for parent in found[:at])


@given(
    st.dictionaries(st.integers(2, 9), st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=8),
    st.integers(2, 9),
)
def test_ancestors_end_in_any_table(parents, pid):
    table = {
        number: Process(ProcessId(number, start), ppid) for number, (ppid, start) in parents.items()
    }
    first = table.get(pid, Process(ProcessId(pid, 5), 0))
    seen = []

    def find(number):
        seen.append(number)
        assert len(seen) < 100
        return table.get(number)

    chain = ancestors(first, find)
    for child, parent in zip([first, *chain], chain):
        assert child.ppid == parent.id.pid > 1
        assert parent.id.start <= child.id.start


class TestThisHost:
    """/proc of the machine that runs the tests."""

    def test_a_process_is_seen_as_it_is(self):
        table = ProcTable()
        source = "import sys; print('ready', flush=True); sys.stdin.read()"
        environment = {"A": "1", "B": "x" * 70000}
        child = subprocess.Popen(
            [sys.executable, "-c", source, "a b", ""],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            child.stdout.readline()
            process = table.process(child.pid)
            assert (process.ppid, process.alive) == (os.getpid(), True)
            assert table.environment(child.pid).split(b"\0")[:2] == [b"A=1", b"B=" + b"x" * 70000]
            assert table.arguments(child.pid)[3:] == [b"a b"]
            assert table.effective_uid(child.pid) == os.geteuid()
            assert child.pid in table.pids()
            assert child.pid in table.children(os.getpid())
            assert child.pid in children_by_parent(table)[os.getpid()]
            assert table.thread_group(child.pid) == child.pid
            assert thread_environment("/proc/", child.pid) == table.environment(child.pid)
            assert table.usable
        finally:
            child.communicate()
        assert table.process(child.pid) is None
        assert table.environment(child.pid) == b""
        assert table.arguments(child.pid) == table.children(child.pid) == []
        assert table.effective_uid(child.pid) is None

    def test_a_proc_that_is_not_ours_is_not_usable(self, tmp_path):
        assert not ProcTable(str(tmp_path)).usable
        (tmp_path / "self").symlink_to("1")
        assert not ProcTable(str(tmp_path)).usable

    def test_the_newest_pid_is_that_of_the_last_child(self):
        table = ProcTable()
        before = table.last_pid()
        subprocess.check_call(["true"])
        assert before is not None
        assert table.last_pid() != before


def test_a_pipe_is_shown_for_what_it_is_open():
    reading, writing = os.pipe()
    name = os.readlink("/proc/self/fd/%d" % reading)
    table = ProcTable()
    writer = subprocess.Popen(["sleep", "60"], stdout=writing)
    reader = subprocess.Popen(["sleep", "60"], stdin=reading)
    try:
        os.close(writing)
        read, written, fed, terminal = table.pipes(os.getpid())
        assert (name in read, name in written, name in fed) == (True, False, False)
        read, written, fed, terminal = table.pipes(writer.pid)
        assert (name in read, name in written, terminal) == (False, True, False)
        assert name in table.pipes(reader.pid)[2]
        master, slave = os.openpty()
        assert table.pipes(os.getpid())[3]
        os.close(master)
        os.close(slave)
    finally:
        for child in (writer, reader):
            child.kill()
            child.wait()
        os.close(reading)
    assert table.pipes(writer.pid) == (set(), set(), set(), False)


def test_a_descriptor_that_is_closed_meanwhile_hides_no_pipe_behind_it():
    """The descriptor with which this process lists the directory is such a one."""
    reading, writing = os.pipe()
    name = os.readlink("/proc/self/fd/%d" % reading)
    behind = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(reading)
    try:
        assert name in ProcTable().pipes(os.getpid())[0]
    finally:
        os.close(behind)
        os.close(writing)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_ends_is_no_process_that_hides_its_environment():
    """The environment of an ending process belongs to root. It could have started another one."""
    table = ProcTable()
    reading, writing = os.pipe()
    user = os.fork()
    if user == 0:
        try:
            os.setgid(61234)
            os.setuid(61234)
            ended = os.fork()
            if ended:
                os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
                shown = dict(table.environments([1, ended]))
                os.write(writing, repr((shown[1], shown[ended])).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        assert answers.read() == repr((None, b""))
    os.waitpid(user, 0)
