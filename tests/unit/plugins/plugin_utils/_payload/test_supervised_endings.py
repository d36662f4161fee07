# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a supervised module, as the shell above it and the controller see it.

Status, output and error messages are those without a supervisor.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.supervised import PATIENCE, PYTHONS, Module, both, outcome

#: Exceptions that a module does not catch.
ERRORS = {
    "exception": "def f():\n    raise ValueError('a\\nb')\nf()\n",
    "exception in an exception": (
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError(3)\n"
    ),
    "exception from an exception": (
        "try:\n    int('x')\nexcept ValueError as error:\n    raise KeyError(3) from error\n"
    ),
    "error of syntax": "x = 1\nif x\n  y\n",
    "error of indentation": "if 1:\nx",
    "interrupt": (
        "import atexit, os, signal\natexit.register(os.write, 1, b'at exit')\n"
        "os.kill(os.getpid(), signal.SIGINT)\nsignal.pause()"
    ),
    "raised interrupt": "raise KeyboardInterrupt",
    "kind of interrupt": "class Mine(KeyboardInterrupt): pass\nraise Mine",
    "hook of its own": (
        "import sys\ndef hook(kind, error, trace):\n"
        "  print(kind, error, trace.tb_lineno, trace.tb_next)\nsys.excepthook = hook\n1 / 0\n"
    ),
    "no lines wanted": "import sys\nsys.tracebacklimit = 0\n1 / 0",
    "thread": (
        "import threading\n"
        "thread = threading.Thread(target=lambda: print('from the thread'))\nthread.start()\n"
        "1 / 0"
    ),
    "finalizer": (
        "import sys\nclass Thing:\n    def __del__(self): sys.stderr.write('finalizer\\n')\n"
        "thing = Thing()\n1 / 0"
    ),
    "words": "import sys\nsys.exit('these words')",
    "generator": "raise GeneratorExit",
    "import": "import this_is_not_there",
    "import of what is not in order": "import json\nfrom json import this_is_not_there",
    "assertion": "assert 1 == 2, 'so it is'",
    "not in ascii": (
        "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'ascii')\nprint('\\xe4')"
    ),
}


ENDS = [next(iter(PYTHONS)), list(PYTHONS)[-1]]
#: The oldest and the newest Python have them all. Those between have what has changed from one to
#: the other.
ROWS = [
    (python, error)
    for python in PYTHONS
    for error in ERRORS
    if python in ENDS or error in {"exception in an exception", "error of syntax", "interrupt"}
]


@pytest.mark.parametrize(("python", "error"), ROWS)
def test_what_it_prints_of_an_error_that_is_not_caught(tmp_path, python, error):
    supervised, bare = both(
        Module(ERRORS[error], tmp_path, "file" if len(error) % 2 else "stdin", PYTHONS[python])
    )
    assert supervised == bare
    assert supervised.status != 0


EXITS = ("0", "1", "None", "True", "256", "-1", "2 ** 31", "(1, 2)", "''", "'text'", "3.5", "[]")


@pytest.mark.parametrize("value", EXITS)
def test_what_it_exits_with(tmp_path, value):
    supervised, bare = both(
        Module(
            f"import sys\nprint('output')\nsys.stderr.write('errors')\nsys.exit({value})",
            tmp_path,
            "stdin",
        )
    )
    assert supervised == bare
    assert supervised.out == b"output\n"


@given(st.integers(0, 255), st.booleans())
@settings(max_examples=20)
def test_any_status(tmp_path_factory, status, at_once):
    module = Module(
        f"import os, sys\n{'os._exit' if at_once else 'sys.exit'}({status})",
        tmp_path_factory.mktemp("module"),
    )
    result = outcome(module, True)
    assert (result.status, result.out, result.err) == (status, b"", b"")


def test_order_at_the_end(tmp_path):
    """Buffers, atexit, finally, finalizers: the interpreter ends as usual."""
    text = (
        "import atexit, sys, threading, weakref\n"
        "class Thing:\n    def __del__(self): sys.stderr.write('finalizer\\n')\n"
        "thing = Thing()\n"
        "atexit.register(print, 'at exit', flush=True)\n"
        "weakref.finalize(thing, print, 'weak')\n"
        "wait = threading.main_thread().join\n"
        "threading.Thread(target=lambda: (wait(), print('thread'))).start()\n"
        "print('no end of line', end='')\n"
        "try:\n    sys.exit(3)\nfinally:\n    print('finally')\n"
    )
    supervised, bare = both(Module(text, tmp_path))
    assert supervised == bare
    assert supervised.status == 3


#: All that end a process, by the name under which a core dump is expected or not.
DEADLY = [
    f"SIG{name}"
    for name in ("HUP", "INT", "TERM", "KILL", "USR1", "PIPE", "ALRM", "IO", "VTALRM", "RTMIN")
]
DUMPING = [
    f"SIG{name}" for name in ("QUIT", "ABRT", "SEGV", "BUS", "ILL", "FPE", "TRAP", "SYS", "XCPU")
]
DIES = (
    "import os, signal\n"
    "signal.signal(signal.{0}, signal.SIG_DFL) if signal.{0} != signal.SIGKILL else 0\n"
    "os.kill(os.getpid(), signal.{0})\nsignal.pause()"
)


def test_the_shell_sees_the_signal_that_it_died_of(tmp_path):
    for name in DEADLY + DUMPING:
        folder = tmp_path / name
        folder.mkdir()
        supervised, bare = both(
            Module(DIES.format(name), folder),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        )
        assert supervised == bare
        assert supervised.status == 128 + getattr(signal, name)


@pytest.mark.parametrize("blocked", [False, True])
def test_a_parent_that_waits_without_a_shell_sees_the_signal(tmp_path, blocked):
    """The last command of a shell takes its place.

    The signal may be blocked, or ignored, where the supervisor was started.
    """

    def change():
        if blocked:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        else:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    module = Module(
        "import signal\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n"
        + DIES.format("SIGTERM"),
        tmp_path,
    )
    for supervised in (True, False):
        done = subprocess.run(
            module.alone(supervised), check=False, timeout=PATIENCE, preexec_fn=change
        )
        assert done.returncode == -signal.SIGTERM


@pytest.mark.skipif(
    "|" in Path("/proc/sys/kernel/core_pattern").read_text(),
    reason="core dumps go to a program here",
)
def test_one_core_dump(tmp_path):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "/" in pattern:
        pytest.skip(f"core dumps go to {pattern}")

    def change():
        os.chdir(tmp_path)
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 24, 1 << 24))

    # Each has its own name, or the second would take the place of the first.
    counts = []
    for supervised in (True, False):
        module = Module(f"open('done', 'w').close()\n{DIES.format('SIGABRT')}", tmp_path)
        result = outcome(module, supervised, preexec_fn=change)
        assert result.status == 128 + signal.SIGABRT
        counts.append(len(list(tmp_path.glob("core*"))))
        for path in tmp_path.glob("core*"):
            path.unlink()
    assert counts == [1, 1]
