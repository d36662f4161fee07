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
    KillProgress,
    RunReport,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import (
    ATTEMPT_TIMEOUT,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import print_lines
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.progress import Progress
from ansible_collections.treekill.remote.plugins.plugin_utils._run.report_wait import ReportWait

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.signals import RunSignals

#: The main process waits for the grace and this long: for connections, and for passes that find
#: more processes than expected.
_REPORT_MARGIN_SECONDS = 15.0

display = Display()


class FinalReport:
    """The request for the report of a run, and the wait for it."""

    def __init__(self, path: str, patience: float, signals: RunSignals, after_kill: bool) -> None:
        """Ask nothing yet.

        Args:
            path: the path of the guardian's socket.
            patience: seconds to wait for an answer if nothing has interrupted the run.
            signals: the signals of the run.
            after_kill: whether anything is to run after the kill.
        """
        self._path = path
        self._patience = patience
        self._signals = signals
        self._after_kill = after_kill

    def receive(self, wait: bool) -> RunReport:
        """Return the guardian's report, which is incomplete if the wait has ended early.

        `wait`: as the option `kill_wait`.

        Raises:
            OSError, FrameError, WrongPeer: the guardian gives no report.
        """
        channel = Channel(endpoint.connect(self._path, timeout=self._patience))
        channel.send(request_frame(ReportRequest(wait)))
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
            f"{answer.in_hand} kill orders are out, with a grace of {answer.grace:g} s."
            f" {self._signals.effects}"
        )
        return self._await_orders(channel, report_wait, answer)

    def _await_orders(
        self, channel: Channel, report_wait: ReportWait, first: KillProgress
    ) -> RunReport:
        """Return the report, as it is when the wait ends.

        Each order that is done extends the wait.
        """
        # after_kill starts after the last courier.
        deadline = (
            time.monotonic()
            + first.grace
            + _REPORT_MARGIN_SECONDS
            + (ATTEMPT_TIMEOUT if self._after_kill else 0.0)
        )
        progress, in_hand = Progress(), first.in_hand
        answer: RunReport | KillProgress = first
        try:
            while isinstance(answer, KillProgress):
                if answer.after_kill is None:
                    progress.update(answer)
                    if answer.in_hand < in_hand:
                        in_hand, deadline = (
                            answer.in_hand,
                            max(deadline, time.monotonic() + _REPORT_MARGIN_SECONDS),
                        )
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
            f"after_kill: {', '.join(after.files)} runs on {len(after.hosts)} hosts,"
            f" for {after.timeout:g} s at most. Ctrl-C: interrupt it. Again: do not wait."
        )
        return time.monotonic() + after.seconds

    @staticmethod
    def _next(
        channel: Channel, report_wait: ReportWait, progress: Progress, deadline: float
    ) -> RunReport | KillProgress:
        answer = report_wait.next_answer(progress.tick, deadline)
        if answer is None:
            channel.send(request_frame(ReportRequest(wait=False)))
            while not isinstance(answer, RunReport):
                answer = report_wait.next_answer(progress.tick)
        return answer


def print_line(text: str) -> None:
    """Print a line of this collection to stderr.

    The output of a stdout callback (json, yaml) must stay as it is.
    """
    print_lines(display, [(f"treekill: {text}", None)])
