# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile names of processes, and hostile content of /proc.

No process is taken for another, and nothing breaks the table. Python 3.6.
"""

import os
import subprocess
import sys

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    CookieMatch,
    is_exempt,
    parse_cookie,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    KillRequest,
    read_request,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import Process
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import (
    ProcTable,
    parse_stat,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.ps import PsTable, parse_ps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RUN, LEASE = "0123456789abcdef", "89abcdef"
STAT = b"%d (%s) S 4 5 5 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 99 123 456 184467 1 1 0 0 0\n"

#: A line of each table, as a process writes it that wants to pass for another one.
FORGED_PS = "\n    1     1     0 S Sun Nov 22 12:34:41 2026 /sbin/init"
NAMES = [
    b"a) R 1 (b",
    b") S 1 1 1",
    b"((((",
    b"))))",
    b"a\nb",
    b"\xff\xfe\x80",
    b"x) Z 1 9",
    b"\n1 (init",
    b" ",
    b"\x1b[2J",
]

CONTENT = st.binary(max_size=200) | st.sampled_from(
    [
        STAT % (2, b"x"),
        (STAT % (2, b"x"))[:40],
        b"Name:\tx\nTgid:\t7\nUid:\t1\t2\t3\t4\n",
        b"\nUid:\t1",
        b"\nTgid:",
        b"\nUid:\tx\ty\tz",
        b"1 2 x 3",
        b"-1",
    ]
)
FILES = ["stat", "status", "cmdline", "environ", "task/2/children", "task/2/environ"]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_process_or_no_line(raw):
    try:
        process = parse_stat(raw)
    except (ValueError, IndexError):
        return
    assert isinstance(process, Process)


@given(st.integers(0, 200), st.sampled_from(NAMES))
def test_the_beginning_of_a_line_is_never_another_process(length, name):
    """The number is the right one, or there is none, for any process.

    A name that is cut off must not be taken for the rest.
    """
    raw = STAT % (7777, name)
    try:
        process = parse_stat(raw[:length])
    except (ValueError, IndexError):
        return
    assert process.id.pid == 7777
    assert (process.ppid, process.state) == (4, "S")


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.dictionaries(st.sampled_from(FILES), CONTENT, max_size=6),
    st.sampled_from(["", "x", "4 ", "99999999999999999999999"]),
)
def test_a_proc_with_anything_in_it_breaks_nothing(tmp_path_factory, files, last):
    mount = tmp_path_factory.mktemp("proc")
    own = mount / str(os.getpid()) / "task" / str(os.getpid())
    own.mkdir(parents=True)
    (own / "children").write_text("")
    (mount / "sys" / "kernel").mkdir(parents=True)
    (mount / "sys" / "kernel" / "ns_last_pid").write_text(last)
    for name, content in files.items():
        path = mount / "2" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    table = ProcTable(str(mount))
    for pid in [*table.pids(), 3]:
        process = table.process(pid)
        assert process is None or isinstance(process, Process)
        assert all(isinstance(word, bytes) for word in table.arguments(pid))
        assert isinstance(table.environment(pid), bytes)
        assert all(isinstance(child, int) for child in table.children(pid))
        for number in (table.effective_uid(pid), table.thread_group(pid), table.last_pid()):
            assert number is None or number >= 0


def test_a_process_with_half_a_line_is_one_that_can_not_be_signalled(tmp_path):
    """It is there. To report it as gone would be as wrong as to take it for another process."""
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "stat").write_bytes((STAT % (os.getpid(), b"x"))[:30])
    process = ProcTable(str(tmp_path)).process(os.getpid())
    assert (process.id.start, process.comm, process.alive) == (0, "hidden", True)


RENAMED = """
import ctypes, os, sys
name, last = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2])
ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
os.environ["LAST"] = sys.argv[2]
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.read()
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [ProcTable, PsTable])
def test_real_processes_with_such_names_are_what_they_are(kind, name):
    """Name, arguments and environment all show it.

    No other process appears in the table, and none disappears.
    """
    argument = name + FORGED_PS.encode()
    environment = {"FORGED": os.fsdecode(argument), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", RENAMED, os.fsdecode(name), os.fsdecode(argument)]
    child = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout.readline() == b"ready\n"
        table = kind()
        assert child.pid in table.pids()
        process = table.process(child.pid)
        assert (process.id.pid, process.ppid, process.alive, process.kernel) == (
            child.pid,
            os.getpid(),
            True,
            False,
        )
        assert child.pid in table.children(os.getpid())
        # Joined, because ps does not show which blanks were in a word. The path of the interpreter
        # may have some.
        assert b" ".join(table.arguments(child.pid)).startswith(
            os.fsencode(" ".join(command[:2])) + b" "
        )
        assert kind is PsTable or table.arguments(child.pid)[1] == b"-c"
        init, real = table.process(1), ProcTable().process(1)
        assert (init.ppid, init.state in "SR") == (0, True)
        assert kind is PsTable or init.id == real.id
        environ = table.environment(child.pid)
        assert kind is PsTable or b"FORGED=" + argument in environ.split(b"\0")
        assert CookieMatch(RUN, LEASE).named_root(environ) is None
    finally:
        child.communicate()


LINES = st.lists(
    st.text(max_size=60)
    | st.sampled_from(
        ["  4242  4200  1000 S Sun Nov 22 12:34:41 2026 x y", "\u00b2 x", "\u0663 1 1 S", "1 2 3"]
    ),
    max_size=6,
)


@given(LINES)
def test_whatever_ps_writes_breaks_nothing(lines):
    text = "\n".join(lines)
    table = PsTable(lambda command, stdin, until: (text, "", 0), lambda: 0.0)
    for pid in table.pids():
        assert isinstance(table.process(pid), Process)
        assert isinstance(table.environment(pid), bytes)
        assert isinstance(table.children(pid), list)


@given(st.text(max_size=120))
def test_any_line_of_ps_is_a_process_or_none(line):
    parsed = parse_ps(line)
    assert parsed is None or isinstance(parsed[0], Process)


@given(st.sampled_from("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r"))
def test_no_character_but_a_newline_begins_another_line_of_ps(separator):
    """A command line may hold such characters.

    If ps lets them through, they must not let a process pass for another one.
    """
    text = (
        "  4242  4200  1000 S Sun Nov 22 12:34:41 2026 sleep 9%s  17  1  0 S Sun Nov 22 12:34:41 "
        "2026 forged\n"
    ) % separator
    assert PsTable(lambda command, stdin, until: (text, "", 0), lambda: 0.0).pids() == [4242]


@given(
    st.text(max_size=60)
    | st.lists(
        st.text("0123456789abcdef\u00b2\u0663-+ _\n", max_size=20), min_size=3, max_size=5
    ).map("/".join)
)
def test_any_text_is_a_cookie_or_refused(text):
    try:
        cookie = parse_cookie(text)
    except ValueError as error:
        assert "not a cookie" in str(error)
        return
    assert [part.lstrip("0") for part in text.split("/")] == [
        part.lstrip("0") for part in str(cookie).split("/")
    ]


@given(
    st.binary(max_size=200)
    | st.lists(st.binary(max_size=20), max_size=5).map(
        b"\0TREEKILL=0123456789abcdef/89abcdef/".join
    )
)
def test_any_environment_has_a_root_or_none(environment):
    for lease in (LEASE, "*"):
        root = CookieMatch(RUN, lease).named_root(environment)
        assert root is None or root >= 0
    assert is_exempt(environment) in (True, False)


WORDS = st.text(max_size=30) | st.builds(
    "{}={}".format,
    st.sampled_from([*vars(KillRequest()), "__class__", "__doc__", "x"]),
    st.text(max_size=8),
)


@given(st.lists(WORDS, max_size=4))
def test_any_words_are_a_request_or_refused(words):
    try:
        request = read_request(words)
    except ValueError:
        return
    assert [type(value) for value in vars(request).values()] == [
        type(value) for value in vars(KillRequest()).values()
    ]
    assert sorted(vars(request)) == sorted(vars(KillRequest()))


@pytest.mark.parametrize(
    "word",
    ["__doc__=x", "__class__=x", "children=maybe", "children=", "skip_grace=true", "nothing"],
)
def test_words_that_no_request_writes_are_refused(word):
    with pytest.raises(ValueError):
        read_request([word])
