# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that prints all that it sees of its process and its interpreter.

Two such accounts can be compared.
"""

from __future__ import annotations

import ast
import os
import re
from typing import Any

#: Python 2.7 and 3. What it prints is a literal.
PROBE = r"""
names = [[name, type(value).__name__, repr(value)] for name, value in sorted(globals().items())]
import os, sys

modules = sorted(sys.modules)
import fcntl, gc, resource, select, signal, termios


def text(path, mode="r"):
    with open(path, mode) as stream:
        return stream.read()


def answer(call, *arguments):
    try:
        return repr(call(*arguments))
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)


def stream(one):
    return [
        [name, repr(getattr(one, name, None))]
        for name in ("name", "mode", "encoding", "errors", "line_buffering", "newlines", "closed")
    ]


def descriptors():
    found = []
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            kind = os.readlink("/proc/self/fd/" + name)
            flags = text("/proc/self/fdinfo/" + name).split("\n")
        except (IOError, OSError):
            continue  # what the list itself was read through
        found.append([name, kind, [line for line in flags if line.startswith("flags")]])
    return found


STATUS = (
    "Name",
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "Threads",
    "ShdPnd",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Cpus_allowed",
    "Mems_allowed",
    "TracerPid",
)
environment = dict(getattr(os, "environb", os.environ))
cookie = environment.pop(b"TREEKILL").decode()
root = int(cookie.split("/")[2])
seen = {
    "names": names,
    "modules": modules,
    "cookie": cookie,
    "environment": sorted(environment.items()),
    "first environment": sorted(
        word
        for word in text("/proc/self/environ", "rb").split(b"\0")
        if not word.startswith(b"TREEKILL=")
    ),
    "arguments in ps": text("/proc/self/cmdline", "rb").rstrip(b"\0").split(b"\0"),
    "in the shell's group": os.getpgrp() == os.getpgid(root),
    "in the shell's session": os.getsid(0) == os.getsid(root),
    "terminal": answer(os.open, "/dev/tty", os.O_RDWR).split(":")[0],
    "foreground": [
        answer(os.tcgetpgrp, number).replace(str(os.getpgrp()), "mine") for number in (0, 1, 2)
    ],
    "terminals": [answer(os.ttyname, number) for number in (0, 1, 2)],
    "modes": [answer(termios.tcgetattr, number) for number in (0, 1, 2)],
    "blocking": [answer(fcntl.fcntl, number, fcntl.F_GETFL) for number in (0, 1, 2)],
    "sys": [
        [name, repr(getattr(sys, name, None))]
        for name in (
            "argv",
            "orig_argv",
            "path",
            "flags",
            "warnoptions",
            "_xoptions",
            "executable",
            "prefix",
            "exec_prefix",
            "base_prefix",
            "dont_write_bytecode",
            "pycache_prefix",
            "meta_path",
            "tracebacklimit",
            "last_value",
            "ps1",
            "stdlib_dir",
            "platform",
            "implementation",
        )
    ],
    "sys calls": [
        [name, answer(getattr(sys, name))]
        for name in (
            "getrecursionlimit",
            "getfilesystemencoding",
            "getdefaultencoding",
            "gettrace",
            "getprofile",
            "getswitchinterval",
            "getdlopenflags",
            "get_int_max_str_digits",
            "get_coroutine_origin_tracking_depth",
            "exc_info",
        )
        if hasattr(sys, name)
    ],
    "hooks": [
        sys.excepthook is sys.__excepthook__,
        sys.displayhook is sys.__displayhook__,
        getattr(sys, "unraisablehook", 0) is getattr(sys, "__unraisablehook__", 0),
    ],
    "streams": [stream(one) for one in (sys.stdin, sys.stdout, sys.stderr)],
    "collector": [
        gc.isenabled(),
        gc.get_threshold(),
        gc.get_debug(),
        answer(getattr(gc, "get_freeze_count", int)),
        len(getattr(gc, "callbacks", ())),
    ],
    "signals": [[number, repr(signal.getsignal(number))] for number in range(1, signal.NSIG)],
    "wake": answer(signal.set_wakeup_fd, -1),
    "timer": answer(signal.getitimer, signal.ITIMER_REAL),
    "umask": os.umask(0),
    "cwd": os.getcwd(),
    "limits": text("/proc/self/limits"),
    "descriptors": descriptors(),
    "status": [
        line for line in text("/proc/self/status").split("\n") if line.split(":")[0] in STATUS
    ],
    "others": [
        answer(text, "/proc/self/" + name)
        for name in ("cgroup", "oom_score_adj", "timerslack_ns", "coredump_filter", "personality")
    ],
    "nice": [
        os.nice(0),
        answer(getattr(os, "sched_getaffinity", int), 0),
        answer(getattr(os, "sched_getscheduler", int), 0),
    ],
    "namespaces": [
        os.readlink("/proc/self/ns/" + name) for name in sorted(os.listdir("/proc/self/ns"))
    ],
    "root": os.readlink("/proc/self/root"),
    "stdin": answer(sys.stdin.read) if sys.stdin is not None and not sys.stdin.isatty() else None,
}
sys.stdout.write(repr(seen) + "\n")
"""

#: What the start of a supervisor imports of the interpreter's own: C modules, none of which changes
#: anything outside itself.
IMPORTED = {"_ctypes", "_signal", "_socket", "_struct", "binascii", "select"}


def is_of_libffi(kind: str, flags: list[str]) -> bool:
    """Whether a descriptor is one that libffi opens for itself as soon as ctypes is imported.

    Later versions of libffi do so. No program that the module executes has it. The supervisor can't
    close it: libffi would map whatever has the number later.
    """
    is_closed_at_exec = any(int(line.split()[-1], 8) & os.O_CLOEXEC for line in flags)
    return "/libffi.so" in kind and is_closed_at_exec


def seen(out: bytes) -> dict[str, Any]:
    """Return what the module saw, without what differs from one process to the next.

    That is pids, the numbers of pipes, and descriptors of libffi.
    """
    account: dict[str, Any] = ast.literal_eval(out.decode().strip().splitlines()[-1])
    of_libffi = [
        int(number) for number, kind, flags in account["descriptors"] if is_of_libffi(kind, flags)
    ]

    def without_them(number: str) -> str:
        return str(int(number) - sum(one < int(number) for one in of_libffi))

    account["descriptors"] = [
        [without_them(number), re.sub(r"(?<=:)\[[0-9]+\]", "", kind), flags]
        for number, kind, flags in account["descriptors"]
        if int(number) not in of_libffi
    ]
    if account.get("terminal", "").isdigit():
        account["terminal"] = without_them(account["terminal"])
    account["names"] = [
        [name, kind, re.sub(r" at 0x[0-9a-f]+", "", text)] for name, kind, text in account["names"]
    ]
    for name in ("sys", "streams", "signals"):
        account[name] = re.sub(r" at 0x[0-9a-f]+", "", repr(account[name]))
    return account


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs in two accounts, with both values.

    The cookie has pids in it, and modules have a test of their own.
    """
    return {
        name: (one[name], other[name])
        for name in one
        if name not in {"cookie", "modules"} and one[name] != other[name]
    }
