# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The processes of a host without /proc, as ps shows them: BSD and macOS.

Blind spots besides those of /proc:

- Start times are whole seconds.
- The table is as old as the last call of ps.
- Arguments and environment are one text. One argument with a space in it looks like two.
- A cookie within the value of another variable looks like a cookie.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.run_command import (
    run_command,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.shortage import patiently

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import Pipes

#: Seconds after which a table is too old to signal by. The second number applies where ps itself is
#: slow: pids are given in order, and not given again so soon.
_STALE_SECONDS, _LONGEST_STALE_SECONDS = 0.05, 0.5
#: Seconds that ps may take.
_PS_SECONDS = 10.0
_FORMAT = "pid=,ppid=,uid=,state=,lstart=,args="
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_ps(line: str) -> "Optional[Tuple[Process, int, str]]":
    """Return (process, uid, command line) of a line of ps in _FORMAT; None for another line.

    The start time holds the digits of date and time.
    """
    word = line.split(None, 9)
    try:
        day_first = word[5].isdigit()  # macOS writes day and month in the order of the locale
        month = _MONTHS.index(word[6 if day_first else 5]) + 1
        day = int(word[5 if day_first else 6])
        start = int("%s%02d%02d%s" % (word[8], month, day, word[7].replace(":", "")))
        state = {"U": "D", "I": "S"}.get(word[3][0], word[3][0])
        command = word[9] if len(word) > 9 else ""
        comm = command.split(" ", 1)[0].rsplit("/", 1)[-1]
        return (
            Process(ProcessId(int(word[0]), start), int(word[1]), state, 1, comm),
            int(word[2]),
            command,
        )
    except (IndexError, ValueError):
        return None


class PsTable:
    """The process table, read from ps. It has the methods of ProcTable."""

    method = "ps"

    def __init__(
        self,
        run: "Callable[[List[str], bytes, float], Tuple[str, str, int]]" = run_command,
        clock: "Callable[[], float]" = time.monotonic,
    ) -> None:
        self._run = run
        self._clock = clock
        self._stale_at: Optional[float] = None
        self._processes: Dict[int, Tuple[Process, int, str]] = {}
        self._environments: Dict[int, bytes] = {}
        self._environment_option = "-AEww" if os.uname()[0] == "Darwin" else "axeww"

    def _ps(self, *options: str) -> "List[str]":
        began = self._clock()
        command = ["env", "LC_ALL=C", "ps", *options]
        try:
            output, errors, status = self._run(command, b"", time.monotonic() + _PS_SECONDS)
        except OSError as error:
            output, errors, status = patiently(
                error, self._run, command, b"", time.monotonic() + _PS_SECONDS
            )
        if status:
            raise OSError(
                "ps %s failed: %s" % (" ".join(options), errors.strip() or "status %d" % status)
            )
        # The table is good for as long as ps took. Otherwise, on a busy host, each question would
        # run another ps.
        now = self._clock()
        self._stale_at = now + min(max(now - began, _STALE_SECONDS), _LONGEST_STALE_SECONDS)
        # Not splitlines(): it also breaks at characters that a command line may hold.
        return output.split("\n")

    def _fresh(self) -> "Dict[int, Tuple[Process, int, str]]":
        if self._stale_at is None or self._clock() > self._stale_at:
            self._take()
        return self._processes

    def _take(self) -> None:
        lines = self._ps("-A", "-ww", "-o", _FORMAT)
        self._processes = {
            row[0].id.pid: row
            for row in map(parse_ps, lines)
            if row is not None and row[0].comm != "ps"
        }
        self._environments = {}

    def pids(self) -> "List[int]":
        """Return every current pid."""
        self._take()
        return list(self._processes)

    def last_pid(self) -> "Optional[int]":
        """Return None: ps does not show it."""
        return None

    def environments(self, pids: "Iterable[int]") -> "Iterator[Tuple[int, Optional[bytes]]]":
        """Yield (pid, environment) as far as ps shows it. Every word counts as an entry."""
        processes = self._fresh()
        # One ps shows the environments of all processes. One ps for each process of a tree would
        # take longer than the grace period.
        environments = self._environments or self._take_environments(processes)
        for pid in pids:
            if pid in environments:
                yield pid, environments[pid]

    def _take_environments(
        self, processes: "Dict[int, Tuple[Process, int, str]]"
    ) -> "Dict[int, bytes]":
        """Return the environments of the processes of a table.

        They are read after the table, and count as equally old: with a newer table come newer ones.
        """
        for line in self._ps(self._environment_option, "-o", "pid=,args="):
            number, dummy, text = line.strip().partition(" ")
            try:
                pid = int(number)
            except ValueError:
                continue  # not a line of this format
            if pid in processes:
                command = processes[pid][2]
                words = text[len(command) :] if text.startswith(command) else ""
                self._environments[pid] = (
                    words.strip().replace(" ", "\0").encode("utf-8", "replace")
                )
        return self._environments

    def environment(self, pid: int) -> bytes:
        """Return the environment of one process; empty if it has ended or ps does not show it."""
        for dummy, content in self.environments((pid,)):
            return content or b""
        return b""

    def process(self, pid: int) -> "Optional[Process]":
        """Return the process that has the pid now."""
        row = self._fresh().get(pid)
        return row[0] if row is not None else None

    def arguments(self, pid: int) -> "List[bytes]":
        """Return the command line, split at its first two spaces.

        Its only use is to see whether it is `shell -c script`.
        """
        row = self._fresh().get(pid)
        return (
            row[2].encode("utf-8", "replace").split(b" ", 2) if row is not None and row[2] else []
        )

    def effective_uid(self, pid: int) -> "Optional[int]":
        """Return the effective user id."""
        row = self._fresh().get(pid)
        return row[1] if row is not None else None

    @staticmethod
    def program(dummy_pid: int) -> str:
        """Return nothing: the name of the process shows the program in most cases."""
        return ""

    @staticmethod
    def dispositions(dummy_pid: int) -> "Tuple[int, int]":
        """Return empty masks: ps does not show them."""
        return 0, 0

    @staticmethod
    def pipes(dummy_pid: int) -> "Pipes":
        """Return nothing: ps does not show them."""
        return set(), set(), set(), False

    @staticmethod
    def cgroup(dummy_pid: int) -> bytes:
        """Return nothing: ps is used where there is no Linux."""
        return b""

    def thread_group(self, pid: int) -> "Optional[int]":
        """Return the number itself: ps shows no threads."""
        return pid if pid in self._fresh() else None

    @staticmethod
    def now() -> int:
        """Return the current time, in the unit of start times.

        ps rounds start times. It computes them from the time of boot, which is rounded as well.
        """
        return int(time.strftime("%Y%m%d%H%M%S", time.localtime(time.time() - 1)))

    def children(self, pid: int) -> "List[int]":
        """Return the children of a process."""
        return [child for child, row in self._fresh().items() if row[0].ppid == pid]
