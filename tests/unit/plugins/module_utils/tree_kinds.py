# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of process trees that have to end, as what the root shell runs. Python 3.6."""

import os
import shlex
import sys

import pytest

RUN, LEASE = "0123456789abcdef", "89abcdef"
COOKIE = "TREEKILL=%s/%s/$$/$PPID" % (RUN, LEASE)

_NAP = "echo ready; exec sleep 1000"
_THREADS = (
    "import ctypes, threading, time\n"
    "def rest():\n"
    "    state = lambda: open('/proc/self/stat').read().rpartition(') ')[2][0]\n"
    "    while threading.main_thread().ident and state() != 'Z': time.sleep(0.005)\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(1000)\n"
    "threading.Thread(target=rest).start()\n"
    "ctypes.CDLL(None).pthread_exit(0)\n"
)
_CHAIN = (
    "import os, signal\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "while True:\n"
    "    if os.fork(): os._exit(0)\n"
)
_BOMB = (
    "import os, resource, signal, time\n"
    "if not os.getuid(): os.setgid(65534); os.setuid(65534)\n"
    "resource.setrlimit(resource.RLIMIT_NPROC, (40, 40))\n"
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "while True:\n"
    "    try:\n"
    "        if os.fork() and os.urandom(1) < b'\\x80': os._exit(0)\n"
    "    except OSError: time.sleep(0.001)\n"
)
_PTY = (
    "import pty; pty.spawn(['sh', '-c', 'trap true HUP; echo ready >&9; sleep 1000 & wait; wait'])"
)


class Kind:
    """One kind of tree.

    script: what the root runs. It writes `ready` so many times, and then has at least so many
    processes alive. resists: only KILL ends it. swift: one generation of it is gone before a shell
    has looked at it. breeds: it forks all the time. So on a host without a free processor one pass
    may miss it (docs/limits.md).
    """

    def __init__(self, name, script, ready=1, alive=1, resists=False, swift=False, breeds=False):
        self.name = name
        self.script = script
        self.ready = ready
        self.alive = alive
        self.resists = resists
        self.swift = swift
        self.breeds = breeds

    def __repr__(self):
        return self.name

    def command(self, shell="/bin/sh"):
        return [shell, "-c", "export %s; %s" % (COOKIE, self.script)]


def python(source, redirect=""):
    return "%s -I -c \"$(cat <<'EOT'\n%s\nEOT\n)\" %s" % (
        shlex.quote(sys.executable),
        source,
        redirect,
    )


KINDS = [
    Kind("background", "sh -c '%s' & sh -c '%s' & wait" % (_NAP, _NAP), 2, 3),
    Kind("foreground", "sh -c '%s'; true" % _NAP, 1, 2),
    Kind("root that became its command by exec", "exec sh -c '%s'" % _NAP),
    Kind("grandchildren", 'sh -c "sh -c \\"sh -c \'%s\'; true\\"; true"; true' % _NAP, 1, 4),
    Kind("setsid", "setsid sh -c '%s' & wait" % _NAP, 1, 2),
    Kind("nohup", "nohup sh -c '%s' & wait" % _NAP, 1, 2),
    Kind(
        "ignores TERM, HUP and INT",
        "sh -c 'trap \"\" TERM HUP INT; echo ready; while :; do sleep 1000; done' & wait",
        1,
        3,
        True,
    ),
    Kind(
        "root that ignores TERM, HUP and INT",
        "trap '' TERM HUP INT; echo ready; while :; do sleep 1000; done",
        1,
        2,
        True,
    ),
    Kind(
        "respawns its child",
        "sh -c 'trap true TERM; while :; do sh -c \"%s\"; done' & wait" % _NAP,
        1,
        3,
        True,
    ),
    Kind(
        "starts another on TERM",
        'sh -c \'trap "setsid sleep 1000 & sleep 1000 &" TERM; echo ready; while :; do sleep '
        "1000 & wait $!; done' & wait",
        1,
        3,
        True,
    ),
    Kind("daemon", "sh -c 'setsid sh -c \"%s\" &' ; true" % _NAP, 1, 1),
    Kind("daemon beside the root", "sh -c 'setsid sh -c \"%s\" &' ; sleep 1000; true" % _NAP, 1, 3),
    Kind(
        "setsid with a cleared environment",
        "env -i setsid sh -c '%s' & sh -c '%s' & wait" % (_NAP, _NAP),
        2,
        3,
    ),
    Kind("cleared environment and nothing else", "env -i sh -c '%s'; true" % _NAP, 1, 2),
    Kind("stopped", "sh -c 'echo ready; kill -STOP $$; sleep 1000' & wait", 1, 2),
    Kind("terminal of its own", python(_PTY, "9>&1"), 1, 4),
    Kind(
        "fast-exit intermediates",
        'sh -c \'(sh -c "(%s) &") & sh -c "(sh -c \\"(%s) &\\") &"\'; sleep 1000; true'
        % (_NAP, _NAP),
        2,
        4,
    ),
    Kind("first thread gone", python(_THREADS), 1, 1),
    Kind(
        "500 processes",
        "i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i+1)); done; echo ready; wait",
        1,
        501,
    ),
    Kind(
        "forks and exits every few milliseconds",
        "go() { sleep 0.005; go & }; setsid sh -c 'go() { sleep 0.005; go & }; go; echo ready' & "
        "wait; sleep 1000; true",
        1,
        2,
        swift=True,
        breeds=True,
    ),
    Kind("forks and exits as fast as it can", python(_CHAIN), 1, 1, True, True, breeds=True),
    Kind("fork bomb", python(_BOMB), 1, 10, True, breeds=True),
    Kind(
        "starts short-lived children for ever",
        "echo ready; while :; do (sleep 0.002; sleep 0.002) & sleep 0.004; done",
        1,
        1,
    ),
]

PASSES = 5


def need(kind):
    """Skip a kind that this user can't start."""
    if kind.name == "fork bomb" and os.geteuid():
        pytest.skip(
            "a fork bomb is a user of its own, with a limit of its own: only root can become one"
        )


def end(kind, look, once):
    """End a tree of that kind, and return the reports of all passes that it took.

    look: whether a process of the tree is alive. once: makes one pass. One pass has to be enough.
    For a kind that breeds, a pass that names survivors may be followed by another one: the recap
    advises that. A pass that names none and leaves one is a false all-clear, which no load excuses.
    """
    reports = []
    while len(reports) < (PASSES if kind.breeds else 1):
        report, survivors = once()
        reports.append(report)
        if not survivors:
            break
    assert not survivors, reports[-1]
    assert not look(), reports[-1]
    return reports
