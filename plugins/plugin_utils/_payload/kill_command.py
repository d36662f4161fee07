# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that runs a kill pass on a host, and the parser of its output.

Private to the collection treekill.remote.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shlex
import string
import typing as t
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import VERSION
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    MARK,
    KillRequest,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.request_words import (
    request_words,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    KillReport,
    ReportedProcess,
    merge,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import programs
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import (
    becoming_shell,
    octal,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_kill_pass import (
    shell_text,
)

#: The status of Python before 3.6. It exits before it reads anything that it does not understand.
_TOO_OLD_STATUS = 97
#: Characters. A report of 30,000 processes has 16 million, and that of its supervisor as many. A
#: longer output was not written by a kill pass.
_MOST_OUTPUT_CHARACTERS = 32 * 1024 * 1024

#: Characters of one text in a report. A kill pass sends a few hundred.
_MOST_TEXT_CHARACTERS = 4096

_BOOTSTRAP = (
    "import sys;sys.version_info<(3,6)and sys.exit({too_old})\n"
    "import zlib,binascii,gc\n"
    "gc.disable()\n"
    "P=zlib.decompress(binascii.a2b_base64('{text}')).decode().split('\\0')\n"
    "exec(P[0],globals())"
)


class KillReportError(Exception):
    """The output of a kill pass has no report, or a broken one."""


class _OtherVersionError(ValueError):
    """A report of another version of the collection."""


@functools.lru_cache(maxsize=64)
def _command_start(interpreters: tuple[str, ...]) -> tuple[str, str]:
    """Return the texts before and after the words: they are the same for all hosts."""
    tries = " ".join(shlex.quote(interpreter) for interpreter in interpreters)
    python = _BOOTSTRAP.format(too_old=_TOO_OLD_STATUS, text=programs().kill_pass)
    before = "set -- "
    after = (
        f"; k=1; for p in {tries or '/nonexistent'}; do"
        ' command -v "$p" >/dev/null 2>&1 || continue;'
        f' "$p" -I -S -c {shlex.quote(python)} "$@" </dev/null && k=0 && break; done;'
        f' [ "$k" = 0 ] || {{ k=$({_saying_shell_text()});'
        ' /bin/sh -c "$k" treekill "$k" "$@" </dev/null; }'
    )
    return octal(before), octal(after)


def _saying_shell_text() -> str:
    """Return the command that prints the shell script.

    In transit, letters that the script does not have stand for characters that would take four
    characters each.
    """
    text = shell_text()
    dollar, backslash = [letter for letter in string.ascii_letters if letter not in text][:2]
    changed = shlex.quote(text.translate({ord("$"): dollar, ord("\\"): backslash}))
    return f"echo {changed} | tr {dollar}{backslash} '\\044\\134'"


def kill_command(request: KillRequest, interpreters: Sequence[str]) -> str:
    """Return one POSIX shell command line that runs the pass on a host.

    The interpreters are tried in this order. One that is missing, older than 3.6 or broken is
    skipped. The shell script comes last.

    The command line stays the same through any number of shells. From its first word on, signals
    are ignored.
    """
    before, after = _command_start(tuple(interpreters))
    words = octal(" ".join(shlex.quote(word) for word in request_words(request)))
    return 'trap "" 1 2 3 13 15 USR1; ' + becoming_shell(before + words + after)


def parse_report(text: str, nonce: str) -> KillReport:
    """Return the report in what a host printed, among banners and the output of a terminal.

    Raises KillReportError if there is no complete one. The error quotes nothing of the output: it
    is not masked yet.
    """
    mark = f"{MARK} {nonce} "
    if len(text) > _MOST_OUTPUT_CHARACTERS:
        raise KillReportError(
            f"{len(text)} characters of output from kill pass {nonce}: no report is that long"
        )
    at = text.rfind(mark)
    if at < 0:
        raise KillReportError(f"no report of kill pass {nonce} in {len(text)} characters of output")
    try:
        content, dummy = json.JSONDecoder().raw_decode(text, at + len(mark))
        return _to_report(content)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        kind = (
            str(error)
            if isinstance(error, (json.JSONDecodeError, _OtherVersionError))
            else type(error).__name__
        )
        raise KillReportError(
            f"broken report of kill pass {nonce} at character {at} of {len(text)}: {kind}"
        ) from error


def _to_report(content: dict[str, t.Any]) -> KillReport:
    if content["version"] != VERSION:
        number = content["version"]
        version = number if isinstance(number, int) and number in range(1000) else "unknown"
        raise _OtherVersionError(f"version {version} instead of {VERSION}")
    root = content["root"]
    report = KillReport(
        method=_words(content["method"]),
        root=None if root is None else (int(root["pid"]), int(root["ppid"])),
        gone=tuple(_to_process(row) for row in content["gone"]),
        survivors=tuple(_to_process(row) for row in content["survivors"]),
        spared=tuple(_to_process(row) for row in content["spared"]),
        unreadable=int(content["unreadable"]),
        escalated=bool(content["escalated"]),
        supervised=bool(content.get("supervised")),
        seconds=_seconds(content["seconds"]),
    )
    theirs = content.get("supervisor")
    return (
        report
        if theirs is None
        else _with_supervisors(dataclasses.replace(_to_report(theirs), supervised=True), report)
    )


def _with_supervisors(theirs: KillReport, own: KillReport) -> KillReport:
    """Return the report of a pass combined with that of the supervisor which it met.

    Any process of the tree can answer in the supervisor's place: the report of the pass wins.
    """
    alive = {(process.pid, process.start) for process in own.survivors}
    return merge(
        dataclasses.replace(
            theirs,
            gone=tuple(
                process for process in theirs.gone if (process.pid, process.start) not in alive
            ),
        ),
        own,
    )


def _to_process(row: dict[str, t.Any]) -> ReportedProcess:
    """Return a process from a row. Each value is checked: the host is not trusted."""
    return ReportedProcess(
        pid=int(row["pid"]),
        start=int(row["start"]),
        ppid=int(row["ppid"]),
        user=_words(row["user"]),
        command=_words(row["command"]),
        role=_words(row["role"]),
        ended=None if row["ended"] is None else _words(row["ended"]),
        seconds=None if row["seconds"] is None else _seconds(row["seconds"]),
        reason=_words(row.get("reason", "")),
    )


def _words(value: object) -> str:
    return str(value)[:_MOST_TEXT_CHARACTERS]


def _seconds(value: t.Any) -> float:
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError(f"{value!r} is no time")
    return seconds
