# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The view of a supervised module: its process, its interpreter, its standard input, its terminal.

All of it is as without a supervisor.
"""

from __future__ import annotations

import ast
import fcntl
import os
import pty
import resource
import signal
import subprocess
import termios

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.probe import IMPORTED, PROBE, differences, seen
from tests.unit.plugins.plugin_utils.supervised import (
    PATIENCE,
    PYTHON,
    PYTHONS,
    Module,
    both,
    old_python,
    outcome,
)

WAYS = ("stdin", "file")


def views(module, **options):
    """Return what the module sees with a supervisor and without.

    It has to end well, and print nothing else.
    """
    found = []
    for result in both(module, **options):
        assert (result.status, result.err) == (0, b"")
        found.append(seen(result.out))
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("python", PYTHONS)
def test_everything_on_every_python(tmp_path, python, way):
    supervised, bare = views(
        Module(
            PROBE, tmp_path, way, PYTHONS[python], arguments=["a", "b c"] if way == "file" else ()
        )
    )
    assert differences(supervised, bare) == {}
    more = set(supervised["modules"]) - set(bare["modules"])
    # Python 3.13 keeps the text of its -c for tracebacks.
    assert more - {"linecache"} <= IMPORTED
    assert set(bare["modules"]) <= set(supervised["modules"])


def test_the_comparison_sees_a_difference(tmp_path):
    """The control: two processes are compared, and what differs between them is found."""
    module = Module(PROBE, tmp_path)
    one, other = (
        seen(outcome(module, True, preexec_fn=change).out)
        for change in (None, lambda: (os.umask(0o77), os.nice(1)))
    )
    assert set(differences(one, other)) == {"umask", "nice"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "flags", ["-I", "-s -E", "-u -B", "-O", "-W error", "-X dev", "-X utf8", "-S"]
)
def test_everything_with_the_interpreters_own_options(tmp_path, way, flags):
    supervised, bare = views(Module(PROBE, tmp_path, way, flags=flags))
    assert differences(supervised, bare) == {}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        {"LC_ALL": "C"},
        {"LC_CTYPE": "POSIX"},
        {"PYTHONPATH": "/nowhere:", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
        {"PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "7"},
        {"TREEKILL_OTHER": "x", "IFS": "x", "ENV": "/nowhere", "_": "x"},
    ],
    ids=" ".join,
)
def test_the_environment(tmp_path, way, environment):
    supervised, bare = views(Module(PROBE, tmp_path, way), env=environment)
    assert differences(supervised, bare) == {}
    assert supervised["cookie"].split("/")[:2] == bare["cookie"].split("/")[:2]


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z0-9_]{3,8}", fullmatch=True),
        st.binary(max_size=50).filter(lambda value: b"\0" not in value),
        max_size=5,
    )
)
@settings(max_examples=15)
def test_any_environment(tmp_path_factory, environment):
    module = Module(
        "import os, sys\n"
        "sys.stdout.write(repr(sorted(pair for pair in os.environb.items() if pair[0] != "
        "b'TREEKILL')))",
        tmp_path_factory.mktemp("module"),
    )
    supervised, bare = both(
        module, env={os.fsencode(name): value for name, value in environment.items()}
    )
    assert supervised == bare
    assert supervised.status == 0


def before_limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
    resource.setrlimit(resource.RLIMIT_CPU, (100, 200))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, 4 << 20))


def ignore(*names):
    def ignore_them():
        for name in names:
            signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)

    return ignore_them


PLACES = {
    "umask": lambda: os.umask(0o137),
    "directory": lambda: os.chdir("/proc"),
    "limits": before_limits,
    "priority": lambda: os.nice(5),
    "nohup": ignore("HUP"),
    "background job of an old shell": ignore("INT", "QUIT"),
    "all ignored that a supervisor takes": ignore(
        "HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "PIPE"
    ),
    "signals blocked": lambda: signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGRTMIN}
    ),
    "descriptors": lambda: [os.dup2(0, number) for number in (3, 4, 9, 50)],
    "not dumped": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_what_it_inherits(tmp_path, way, place):
    supervised, bare = views(
        Module(PROBE, tmp_path, way), preexec_fn=PLACES[place], close_fds=False
    )
    assert differences(supervised, bare) == {}


@pytest.mark.parametrize("ignored", [False, True])
def test_the_death_of_children_ignored_or_not(tmp_path, ignored):
    """Without a shell above, which could not wait either.

    A process that ignores it never learns a child's status.
    """
    module = Module(PROBE + "\nsys.exit(7)", tmp_path)
    for supervised in (True, False):
        change = ignore("CHLD") if ignored else None
        done = subprocess.run(
            module.alone(supervised),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            preexec_fn=change,
        )
        assert (done.returncode, done.stderr) == (7, b"")
        dispositions = dict(ast.literal_eval(seen(done.stdout)["signals"]))
        assert ("SIG_IGN" in dispositions[int(signal.SIGCHLD)]) == ignored


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("redirection", ["</dev/null", "<&-", ">/dev/null 2>&1 3>&1", "3<&0 <&-"])
def test_redirections(tmp_path, way, redirection):
    if way == "stdin" and "<" in redirection:
        pytest.skip("the module comes on standard input")
    text = PROBE.replace("sys.stdout.write", f"open({str(tmp_path / 'seen')!r}, 'w').write")
    found = []
    module = Module(text, tmp_path, way, after=redirection)
    for supervised in (True, False):
        result = outcome(module, supervised)
        assert result.status == 0
        found.append(seen((tmp_path / "seen").read_bytes()))
    assert differences(*found) == {}


@pytest.mark.parametrize("content", [b"", b"one line\n", b"no end", b"\0\xff\n" * 100000])
def test_standard_input_of_a_file_is_its_own(tmp_path, content):
    text = (
        "import hashlib, sys\nsys.stdout.write(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    )
    supervised, bare = both(Module(text, tmp_path), stdin=content)
    assert supervised == bare
    assert len(supervised.out) == 64


@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 300000])
def test_a_pipelined_module_of_any_size_finds_standard_input_at_its_end(tmp_path, size):
    text = f"import sys\nsys.stdout.write(repr(sys.stdin.read()) + 'end')\n{'#' * size}"
    supervised, bare = both(Module(text, tmp_path, "stdin"))
    assert supervised == bare
    assert supervised.out == b"''end"


def in_terminal(argv, stdin=True):
    """Return what it writes to a terminal that is its controlling one, as under `ssh -tt`."""
    master, slave = pty.openpty()

    def take():
        os.setsid()
        os.dup2(slave, 1)
        os.dup2(slave, 2)
        if stdin:
            os.dup2(slave, 0)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(argv, preexec_fn=take, stdin=None if stdin else subprocess.DEVNULL)
    os.close(slave)
    parts = []
    try:
        while part := os.read(master, 65536):
            parts.append(part)
    except OSError:
        pass  # a terminal reports so that no process has it open
    os.close(master)
    assert process.wait(30) == 0, b"".join(parts)
    return b"".join(parts)


@pytest.mark.parametrize("stdin", [True, False])
@pytest.mark.parametrize("python", list(PYTHONS)[:: len(PYTHONS) - 1 or 1])
def test_a_terminal(tmp_path, python, stdin):
    module = Module(PROBE, tmp_path, python=PYTHONS[python])
    supervised, bare = (seen(in_terminal(module.argv(way), stdin)) for way in (True, False))
    for view in (supervised, bare):
        # each run has a terminal of its own
        number = next(name.rpartition("/")[2] for name in view["terminals"][1:2]).strip("'")
        for name in ("terminals", "descriptors"):
            view[name] = repr(view[name]).replace(f"/dev/pts/{number}'", "/dev/pts/N'")
    assert differences(supervised, bare) == {}
    assert "/dev/pts/N" in supervised["terminals"]
    assert supervised["foreground"][1] == "mine"


def test_a_python_that_is_too_old_runs_it_without_a_supervisor(tmp_path):
    old = old_python()
    if old is None:
        pytest.skip("no old Python runs here")
    for way in WAYS:
        folder = tmp_path / way
        folder.mkdir()
        supervised, bare = views(
            Module(PROBE, folder, way, old, arguments=["a", "b"] if way == "file" else ())
        )
        assert differences(supervised, bare) == {}
        assert supervised["modules"] == bare["modules"]


def test_nothing_of_the_supervisor_is_in_the_modules_way(tmp_path):
    """Names, frames below its own, objects that the collector would have to look at."""
    text = (
        "names = dir()\nimport gc, sys\n"
        "print(sorted(names), sys._getframe().f_code.co_name, sys._getframe().f_globals is "
        "globals(), __file__, gc.garbage)"
    )
    supervised, bare = both(Module(text, tmp_path, python=PYTHON))
    assert supervised == bare
