# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run after the kill, as the guardian carries it out.

The guardian starts it once. It has a time limit, can be interrupted, and leaves an outcome.

It is an ansible-playbook with its own guardian. If it is interrupted, that guardian ends the
processes that it has started on hosts.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import signal
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.after_process import (
    AfterProcess,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.files import AfterFiles
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.outcome import (
    ENVIRONMENT,
    read_outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.target_hosts import (
    AfterHosts,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import AfterKillPlan
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AfterKillProgress,
    AfterKillReport,
    AfterKillState,
    HostEnding,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
        Loop,
        Timer,
    )

#: Seconds from the interruption of this run to SIGKILL, beyond the grace period of its processes.
#: They are for its own recap.
_END_SECONDS = 15.0

#: Lines of its output that are kept, from its end.
_MAX_OUTPUT_LINES = 200

#: Reasons for an early end, in words for the user.
TIMED_OUT = "after_kill_timeout"
INTERRUPTED = "Ctrl-C"


class AfterRun:
    """The run after the kill; at most one for each run. The guardian's loop calls every method."""

    def __init__(self, loop: Loop, parent: str, on_end: t.Callable[[], None]) -> None:
        """Run nothing yet.

        `parent` is the directory for its private directory. `on_end` is called when there is an
        outcome.
        """
        self._loop = loop
        self._parent = parent
        self._on_end = on_end
        self._plan: AfterKillPlan | None = None
        self._exempt: set[str] = set()
        self._hosts: AfterHosts | None = None
        self._files: AfterFiles | None = None
        self._process: AfterProcess | None = None
        self._limit: Timer | None = None
        self._started_at = 0.0
        self._ended_by = ""
        #: How it went, once it has ended or could not be started.
        self._end: AfterKillReport | None = None

    def intend(self, plan: AfterKillPlan | None) -> None:
        """Set the plan; None cancels it. The main process may do so repeatedly."""
        self._plan = plan

    def exempt(self, lease: str) -> None:
        """Record that no interruption has broken this lease."""
        self._exempt.add(lease)

    @property
    def exempted(self) -> t.Container[str]:
        """The leases that do not count as interrupted.

        after_kill runs on their host if another task was interrupted there.
        """
        return self._exempt

    @property
    def wanted(self) -> bool:
        """Whether it is still to be started."""
        return self._plan is not None and self._hosts is None

    @property
    def busy(self) -> bool:
        """Whether it is running."""
        return self._process is not None

    def begin(self, run: str, cause: str, hosts: AfterHosts) -> None:
        """Start it on these hosts, once, when each order has been tried."""
        self._hosts = hosts
        if self._plan is None or not hosts.tasks:
            return
        self._started_at = self._loop.clock()
        bound = self._plan.timeout + self._plan.grace + _END_SECONDS
        try:
            self._files = AfterFiles(self._parent, self._plan)
            words = [
                self._plan.python,
                self._files.program,
                *self._files.arguments(run, cause, hosts.tasks),
            ]
            self._process = AfterProcess(
                self._loop,
                words,
                self._environment(),
                self._plan.directory,
                self._files.order(bound + _END_SECONDS),
                self._ended,
            )
        except OSError as error:
            self._conclude(
                AfterKillReport(
                    AfterKillState.ENDED,
                    self._plan.files,
                    self._not_told(),
                    {},
                    error=f"it could not be started: {error.strerror or error}",
                )
            )
            return
        self._limit = self._loop.after(self._plan.timeout, lambda: self._end_early(TIMED_OUT))

    def interrupt(self) -> None:
        """Pass on Ctrl-C. After a second one it skips its own grace period."""
        self._end_early(INTERRUPTED)

    def report(self) -> AfterKillReport | None:
        """Return files, hosts and how it went; None where nothing was to be run."""
        if self._plan is None or (
            self._hosts is not None and not self._hosts.tasks and not self._hosts.left_out
        ):
            return None
        hosts = self._hosts or AfterHosts({}, {})
        if self._end is not None:
            return dataclasses.replace(self._end, left_out=hosts.left_out)
        state = (
            AfterKillState.WANTED
            if self.wanted
            else AfterKillState.UNDER_WAY
            if self.busy
            else AfterKillState.NOWHERE
        )
        return AfterKillReport(state, self._plan.files, self._not_told(), hosts.left_out)

    def _not_told(self) -> dict[str, HostEnding]:
        """Return its hosts before it has reported any of them."""
        return dict.fromkeys(self._hosts.tasks if self._hosts else (), HostEnding.NOT_REPORTED)

    def progress(self) -> AfterKillProgress | None:
        """Return where it runs, and its limit in seconds; None if it is not running."""
        if self._plan is None or self._hosts is None or not self.busy:
            return None
        bound = self._plan.timeout + self._plan.grace + 2 * _END_SECONDS
        return AfterKillProgress(
            self._plan.files, tuple(self._hosts.tasks), self._plan.timeout, bound
        )

    def _environment(self) -> dict[str, str]:
        files = t.cast(AfterFiles, self._files)
        inherited = {
            name: value for name, value in os.environ.items() if name != endpoint.ENVIRONMENT
        }
        return {**inherited, **files.environment(), ENVIRONMENT: files.outcome}

    def _end_early(self, why: str) -> None:
        if self._process is None or self._plan is None:
            return
        self._process.signal(signal.SIGINT)
        if not self._ended_by:
            self._ended_by = why
            if self._limit is not None:
                self._limit.cancel()
            self._limit = self._loop.after(self._plan.grace + _END_SECONDS, self._kill)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.signal(signal.SIGKILL)

    def _ended(self, status: int, output: bytes) -> None:
        self._process = None
        lines = collections.deque(
            output.decode(errors="replace").splitlines(), maxlen=_MAX_OUTPUT_LINES
        )
        outcome = read_outcome(t.cast(AfterFiles, self._files).outcome)
        hosts = {
            host: outcome.get(host, HostEnding.NOT_REPORTED)
            for host in t.cast(AfterHosts, self._hosts).tasks
        }
        plan = t.cast(AfterKillPlan, self._plan)
        self._conclude(
            AfterKillReport(
                AfterKillState.ENDED,
                plan.files,
                hosts,
                {},
                status=status,
                ended_by=self._ended_by,
                output=tuple(lines),
            )
        )

    def _conclude(self, end: AfterKillReport) -> None:
        if self._limit is not None:
            self._limit.cancel()
        if self._files is not None:
            self._files.remove()
        self._end = dataclasses.replace(end, seconds=self._loop.clock() - self._started_at)
        self._on_end()
