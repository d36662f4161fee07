# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guarded run, seen from its main process: guardian, signals, and the wait for the report at the end.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import multiprocessing.util
import os
import secrets
import select
import signal
import socket
import sys
import threading
import time
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import AfterPlan
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import KillOptions, RecordOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import process
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import GuardianClient, announce, withdraw
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import Channel, FrameError
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    AfterKillPlan,
    AfterKillRequest,
    FrontProgram,
    LeaveRequest,
    MainProcess,
    ReportRequest,
    request_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import AfterKillProgress, KillProgress, RunReport
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import ATTEMPT_TIMEOUT
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import KILLED, LOST, InFlight
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import print_lines
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.progress import Progress
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.recap import Recap, screen_of
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import end_without_guardian
from ansible_collections.treekill.remote.plugins.plugin_utils._run import launcher
from ansible_collections.treekill.remote.plugins.plugin_utils._run.report_wait import GuardianSilent, Silence
from ansible_collections.treekill.remote.plugins.plugin_utils._run.signals import RunSignals, StopWaiting, unwinding
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import Fork, RunPipes, at_fork
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.workers import OwnWorkers

_FREEZE_SECONDS = 2.0
"""The longest that the signal handler waits for the guardian to have frozen the clients, which takes it some 5 ms. What core does
after the handler has raised kills the workers."""

_REPLY_SECONDS = 5.0
"""The longest wait for a guardian that is asked for its report, or left."""

_LATE_REPLY_SECONDS = 1.0
"""The same at the end of a run that nothing has interrupted, where the guardian has not answered a worker before."""

_A_LITTLE = 15.0
"""Seconds that the main process waits beyond the grace: for connections, and for passes that find more than they expected."""

display = Display()


class GuardedRun:
    """One for each main process, from its first play to its end; in a process that goes on after its plays, one for each of them."""

    def __init__(self, options: KillOptions, records: RecordOptions) -> None:
        self.options = options
        self._main = identify(os.getpid())
        # All four ends stay open here: a write to the wake pipe must not fail while there is no guardian, or the interpreter prints a traceback.
        lifeline, self._held_end = os.pipe()
        wake, self._wake_end = os.pipe()
        self._pipes = RunPipes(lifeline, wake)
        self.client = GuardianClient(run=secrets.token_hex(8), main=self._main, announced=True, pipes=self._pipes, records=records)
        self._after: AfterPlan | None = None
        self._after_sent: AfterKillPlan | None = None
        self._guardian: socket.socket | None = None
        self._met_at: tuple[int, int] | None = None
        """Which file the guardian's socket was."""
        self.in_flight: InFlight | None = None
        self._has_lost_guardian = False
        """Whether an earlier guardian of this run was lost. What it held is not in the report of the one that is asked."""
        self._signals = RunSignals(self._wake_end, self._await_freeze)
        self._workers: OwnWorkers | None = None
        self._tells_signals = False
        """Whether this is a worker that tells the guardian of each signal that it gets."""

    def start(self) -> None:
        """Start the guardian, and listen for signals.

        Raises:
            EndpointError, OSError: there can be no guardian.
        """
        # First: what another thread of the program forks meanwhile has our pipes as well, and would be taken for a worker.
        at_fork(self._in_child)
        try:
            self._meet_guardian()
        except BaseException:
            at_fork(None)
            self._close_pipes()
            process.let_go(self.client.run)
            raise
        for descriptor in (self._wake_end, self._held_end):
            os.set_blocking(descriptor, False)
        announce(self.client)
        # Later than what is called at the fork itself: there asyncio takes away what was set.
        multiprocessing.util.register_after_fork(self, GuardedRun._tell_signals)
        if is_supported(Feature.WORKERS):
            from ansible_collections.treekill.remote.plugins.plugin_utils._run.workers import OwnWorkers  # noqa: PLC0415

            self._workers = OwnWorkers(self._unwind_after_fork)
        if not self._signals.install():
            display.warning(
                "treekill.remote: this run is in a thread of its program, where Python allows no signal handlers. A signal ends nothing by itself;"
                " tasks in flight are ended when their workers or the whole program end."
            )
        _at_exit(self._end_with_process)

    def _meet_guardian(self) -> None:
        path = process.ensure(self.client.run, self._main, self.client.pipes, self.client.records, self.client.page)
        os.environ[endpoint.ENVIRONMENT] = path
        connection = endpoint.connect(path, timeout=5.0)
        before, self._guardian, self._met_at = self._guardian, connection, endpoint.identity(path)
        self._after_sent = self._after_message()
        Channel(connection).send(request_frame(MainProcess(self._front(), self._after_sent)))
        if before is not None:
            with contextlib.suppress(OSError):
                # That one can't be found any more, but may be there: what comes after the kill is not to be run twice.
                Channel(before).send(request_frame(AfterKillRequest(None)))
            before.close()

    def run_after(self, plan: AfterPlan | None) -> None:
        """Have the guardian know what to run after the kill: nothing with None, as before the first call."""
        self._after = plan
        message = self._after_message()
        # Said once: a guardian that stands still takes so many messages and no more.
        if self._guardian is not None and message != self._after_sent:
            self._after_sent = message
            with contextlib.suppress(OSError):
                # It is gone: the next one that is met is told.
                Channel(self._guardian).send(request_frame(AfterKillRequest(message)))

    def _after_message(self) -> AfterKillPlan | None:
        return self._after.as_message() if self._after is not None else None

    def _front(self) -> FrontProgram | None:
        """Return the program whose end is the end of the run."""
        front = launcher.find(self._main.pid)
        return None if front is None else FrontProgram(front.name, front.process.pid, front.process.start)

    def keep_alive(self) -> None:
        """Called now and then while the run goes on: where the guardian has died, or can't be found any more, meet another and warn."""
        if self._signals.received:
            return
        warning = self._signals.keep()
        if warning:
            display.warning(warning)
        if self._guardian is None:
            return
        killed = _has_hung_up(self._guardian)
        if not self._is_another(killed):
            return
        word = endpoint.crash_reason(os.environ[endpoint.ENVIRONMENT])
        try:
            self._meet_guardian()
        except (OSError, endpoint.EndpointError, endpoint.WrongPeer) as error:
            self._guardian = None
            display.warning(f"treekill.remote: the guardian of this run is gone, and no other can be had: {error}. Protection is lost.")
        else:
            display.warning(
                f"treekill.remote: the guardian of this run {f'has ended {word}' if word else 'was killed'}; another one has taken over."
                " Tasks in flight at that moment are not protected."
                if killed
                else "treekill.remote: the guardian of this run can't be found any more: its socket was removed. Another one has taken over."
                " Tasks in flight at that moment are ended with the run, but its recap does not tell of them."
            )

    def _is_another(self, killed: bool) -> bool:
        """Whether whoever is asked now is not the guardian that was met: it does not know the leases of what is in flight."""
        if not killed and endpoint.identity(os.environ[endpoint.ENVIRONMENT]) == self._met_at:
            return False
        self._has_lost_guardian = True
        if self.in_flight is not None:
            self.in_flight.lose_guardian(KILLED if killed else LOST)
        return True

    def _in_child(self, kind: Fork) -> None:
        """In each fork of the main process: its signals are its own business."""
        self._signals.uninstall()
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        _at_exit(None)
        if kind is Fork.STRANGER:
            if self._tells_signals:
                signal.set_wakeup_fd(-1)
            process.let_go(self.client.run)
            self.client.pipes = None
            self._close_pipes()
        self._tells_signals = kind is Fork.WORKER and self._workers is not None and self._workers.share_our_group

    def _tell_signals(self) -> None:
        """In a worker: the interpreter writes the number of each signal there, whatever a handler does then. The guardian reads it."""
        if self._tells_signals:
            signal.set_wakeup_fd(self._held_end, warn_on_full_buffer=False)

    @property
    def is_of_this_process(self) -> bool:
        """Whether this is the main process, and not a fork of it that has begun something of its own."""
        return os.getpid() == self._main.pid

    @property
    def interrupted(self) -> bool:
        """Whether a signal has interrupted it."""
        return bool(self._signals.received)

    def reraise_interrupt(self) -> None:
        """Called by the main thread where core tells what goes on: after an interruption nothing should, so its exception got lost, and is raised once more.

        The interpreter drops what a handler raises in a hook: after a fork, in a finalizer. The run would go on, each task would be refused, and a play that
        ignores errors would end well.
        """
        if self._signals.received:
            raise unwinding(self._signals.received[0])

    def _unwind_after_fork(self) -> None:
        """The same where a worker has been started: before core sees that it has ended by the signal, and ends the run with another status."""
        if threading.current_thread() is threading.main_thread():
            self.reraise_interrupt()

    def _await_freeze(self) -> None:
        if self._guardian is None:
            return
        readable = select.poll()
        readable.register(self._guardian, select.POLLIN)
        readable.poll(_FREEZE_SECONDS * 1000)

    # The end.

    def _end_with_process(self) -> None:
        """Runs when core has cleaned up, before the interpreter does: wait for the report, show it, and end as the run would have ended."""
        self._conclude()
        # What other plugins do at exit may take long: from here on a signal does what it does without us.
        self._signals.uninstall(at_exit=True)
        self._die_as_signalled()

    def finish(self) -> None:
        """The run is over and its process goes on: wait for the report and show it, and leave the process as it was before."""
        try:
            self._conclude()
        finally:
            self._signals.uninstall()
            at_fork(None)
            if self._workers is not None:
                self._workers.forget()
            withdraw(self.client)
            try:
                self._leave_guardian()
            finally:
                self._close_pipes()
                process.let_go(self.client.run)
        if self._signals.fatal:
            # What the signal has raised unwinds the program, which ends as if the signal had ended it.
            # Unless it goes on to another run.
            _at_exit(self._die_as_signalled)

    def _close_pipes(self) -> None:
        for descriptor in (*dataclasses.astuple(self._pipes), self._held_end, self._wake_end):
            os.close(descriptor)

    def _leave_guardian(self) -> None:
        """It may still try hosts that could not be reached, and the next run has another."""
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        path = os.environ.pop(endpoint.ENVIRONMENT, None)
        if path is None:
            return
        try:
            channel = Channel(endpoint.connect(path, timeout=_LATE_REPLY_SECONDS if self.client.is_late else _REPLY_SECONDS))
            channel.send(request_frame(LeaveRequest()))
            channel.receive()
            channel.close()
        except (OSError, FrameError, endpoint.WrongPeer):
            endpoint.remove(path)  # It is gone already.

    def _conclude(self) -> None:
        _at_exit(None)
        try:
            with self._signals.as_orders():
                self._show_report()
        except StopWaiting:
            gone = self._guardian is None or _has_hung_up(self._guardian)
            self._say(f"not waiting any longer; {'the guardian is gone: what this run has started may be alive' if gone else 'the guardian goes on alone'}.")
        finally:
            self._leave_workers()

    def _show_report(self) -> None:
        if self._guardian is not None:
            self._is_another(_has_hung_up(self._guardian))
        if not self.interrupted:
            self.client.page.end_run()
        try:
            report = self._await_report()
        except (OSError, FrameError, endpoint.WrongPeer) as error:
            if self.interrupted:
                display.warning(f"treekill.remote: no report from the guardian ({error}). What this run has started may be alive: look on its hosts.")
            if not isinstance(error, GuardianSilent):
                # Nobody listens there any more, so nobody else takes it away.
                endpoint.remove(os.environ[endpoint.ENVIRONMENT])
                if self.client.records is not None and not self.interrupted:
                    end_without_guardian(self.client.records, self.client.run)
                if self._workers is not None:
                    self._workers.wake()
            return
        for warning in report.warnings:
            display.warning(warning)
        tasks = self.in_flight.unguarded() if self.in_flight is not None else []
        Recap(report, self.interrupted, screen_of(display), tasks=tasks, lost=self._has_lost_guardian).show(display)

    def _leave_workers(self) -> None:
        """Core waits at exit for workers. What is left of them after an interruption stands still until its host was tried: it is not waited for.

        The guardian ends their clients when their time has come.
        """
        if self.interrupted and self._workers is not None:
            self._workers.kill()

    def _await_report(self) -> RunReport:
        """The guardian's report: whole, or as far as it is there when the wait is over.

        Raises:
            OSError, FrameError, WrongPeer: there is none to be had.
        """
        path = os.environ[endpoint.ENVIRONMENT]
        patience = _LATE_REPLY_SECONDS if self.client.is_late and not self.interrupted else _REPLY_SECONDS
        channel = Channel(endpoint.connect(path, timeout=patience))
        channel.send(request_frame(ReportRequest(self.options.wait)))
        silence = Silence(channel, path, self._say)
        # A run that nothing has interrupted is not held up.
        answer = silence.end(until=None if self.interrupted else time.monotonic() + patience)
        if answer is None:
            raise TimeoutError("timed out")
        if isinstance(answer, RunReport):
            return answer
        self._say(f"{answer.in_hand} kill orders are out, with a grace of {answer.grace:g} s. {self._signals.effects}")
        return self._await_orders(channel, silence, answer)

    def _await_orders(self, channel: Channel, silence: Silence, first: KillProgress) -> RunReport:
        """Return the report. It is asked for as it is when the wait is over, which it is not while one host after the other gets done."""
        # What is run after the kill waits for the last courier.
        deadline = time.monotonic() + first.grace + _A_LITTLE + (ATTEMPT_TIMEOUT if self._after is not None else 0.0)
        progress, in_hand = Progress(), first.in_hand
        answer: RunReport | KillProgress = first
        try:
            while isinstance(answer, KillProgress):
                if answer.after_kill is None:
                    progress.update(answer)
                    if answer.in_hand < in_hand:
                        in_hand, deadline = answer.in_hand, max(deadline, time.monotonic() + _A_LITTLE)
                else:
                    progress.clear()
                    deadline = self._announce_after(answer.after_kill)
                answer = self._next(channel, silence, progress, deadline)
        finally:
            progress.clear()
        return answer

    def _announce_after(self, after: AfterKillProgress) -> float:
        """The moment when it is over at the latest. From here on a Ctrl-C is passed on to it, and the next one ends the wait."""
        self._signals.allow_one_more()
        self._say(
            f"after_kill: {', '.join(after.files)} runs on {len(after.hosts)} hosts, for {after.timeout:g} s at most. Ctrl-C: interrupt it. Again: do not wait."
        )
        return time.monotonic() + after.seconds

    @staticmethod
    def _next(channel: Channel, silence: Silence, progress: Progress, deadline: float) -> RunReport | KillProgress:
        answer = silence.end(progress.tick, deadline)
        if answer is None:
            channel.send(request_frame(ReportRequest(wait=False)))
            while not isinstance(answer, RunReport):
                answer = silence.end(progress.tick)
        return answer

    @staticmethod
    def _say(text: str) -> None:
        # To stderr: what a stdout callback writes (json, yaml) stays as it is.
        print_lines(display, [(f"treekill: {text}", None)])

    def _die_as_signalled(self) -> None:
        """TERM and HUP end a process by themselves, and its parent sees which: 143 and 129 to a shell. INT is core's to report, as exit status 99."""
        number = self._signals.fatal
        if number:
            # What else is to be done at exit (temporary files) is done first, since nothing is done after.
            atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    # Whoever read it may be gone: that must not change by what this process dies.
                    stream.flush()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


class _Exit:
    """Of this process: what is called when it ends."""

    call: t.Callable[[], None] | None = None
    registered = False


def _at_exit(call: t.Callable[[], None] | None) -> None:
    """Call this, and nothing else of ours, when the process ends."""
    _Exit.call = call
    if not _Exit.registered:
        # One for all runs of this process: what is unregistered keeps its place in the interpreter's list.
        _Exit.registered = True
        atexit.register(_exit)


def _exit() -> None:
    call, _Exit.call = _Exit.call, None
    if call is not None:
        call()


def _has_hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR) for dummy, event in poll.poll(0))
