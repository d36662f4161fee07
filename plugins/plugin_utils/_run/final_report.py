# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report at the end of a run.

The main process asks the guardian for it, and shows the progress of the kill.
"""

from __future__ import annotations

import time
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import Channel
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    ReportRequest,
    request_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AfterKillProgress,
    AlwaysOutcome,
    KillProgress,
    RunReport,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Line, wrapped
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import (
    print_lines,
    screen_of,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.progress import Progress
from ansible_collections.treekill.remote.plugins.plugin_utils._run.report_wait import ReportWait

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.signals import RunSignals

display = Display()


class FinalReport:
    """The request for the report of a run, and the wait for it."""

    def __init__(
        self,
        path: str,
        patience: float,
        signals: RunSignals,
        always: tuple[AlwaysOutcome, ...] = (),
    ) -> None:
        """Ask nothing yet.

        Args:
            path: the path of the guardian's socket.
            patience: seconds to wait for an answer if nothing has interrupted the run.
            signals: the signals of the run.
            always: what became of the `always` sections, for the report.
        """
        self._path = path
        self._patience = patience
        self._signals = signals
        self._always = always

    def receive(self, wait: bool) -> RunReport:
        """Return the guardian's report, which is incomplete if the wait has ended early.

        `wait`: as the option `kill_wait`.

        Raises:
            OSError, FrameError, WrongPeer: the guardian gives no report.
        """
        channel = Channel(endpoint.connect(self._path, timeout=self._patience))
        channel.send(request_frame(ReportRequest(wait, self._always)))
        report_wait = ReportWait(channel, self._path, print_line)
        # An uninterrupted run must not be held up.
        answer = report_wait.next_answer(
            until=None if self._signals.received else time.monotonic() + self._patience
        )
        if answer is None:
            raise TimeoutError("timed out")
        if isinstance(answer, RunReport):
            return answer
        print_line(
            f"{counted(answer.untried, 'kill order')} given; grace period {answer.grace:g} s."
            f" {self._signals.effects}"
        )
        return self._await_orders(channel, report_wait, answer)

    def _await_orders(
        self, channel: Channel, report_wait: ReportWait, first: KillProgress
    ) -> RunReport:
        """Return the report.

        The guardian gives each try of an order a limit, so the wait for it needs none. What runs
        after the kill has a limit here too.
        """
        progress = Progress(say=print_line)
        answer: RunReport | KillProgress = first
        try:
            while isinstance(answer, KillProgress):
                deadline = None
                if answer.after_kill is None:
                    progress.update(answer)
                else:
                    progress.clear()
                    deadline = self._announce_after(answer.after_kill)
                answer = self._next(channel, report_wait, progress, deadline)
        finally:
            progress.clear()
        return answer

    def _announce_after(self, after: AfterKillProgress) -> float:
        """Print that after_kill runs, and return the latest moment of its end.

        The next Ctrl-C is passed on to it. The one after that ends the wait.
        """
        self._signals.allow_one_more()
        print_line(
            f"after_kill: {', '.join(after.files)} is running on"
            f" {counted(len(after.hosts), 'host')}, for {after.timeout:g} s at most."
            " Press Ctrl-C to interrupt it, again to skip the report."
        )
        return time.monotonic() + after.seconds

    def _next(
        self, channel: Channel, report_wait: ReportWait, progress: Progress, deadline: float | None
    ) -> RunReport | KillProgress:
        answer = report_wait.next_answer(progress.tick, deadline)
        if answer is None:
            channel.send(request_frame(ReportRequest(wait=False, always=self._always)))
            while not isinstance(answer, RunReport):
                answer = report_wait.next_answer(progress.tick)
        return answer


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, with its plural unless it is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def print_line(text: str) -> None:
    """Print a line of this collection to stderr. A terminal gets it wrapped at words.

    The output of a stdout callback (json, yaml) must stay as it is.
    """
    print_lines(display, wrapped(Line(f"treekill: {text}", wraps=True), screen_of(display)))
