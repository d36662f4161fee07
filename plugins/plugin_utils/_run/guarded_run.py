# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guarded run in its main process: its beginning, its guardian, and its end."""

from __future__ import annotations

import dataclasses
import multiprocessing.util
import os
import secrets
import signal
import threading
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import AfterPlan
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    KillOptions,
    RecordOptions,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import guardian_process
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
    GuardianClient,
    announce,
    withdraw,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    FrameError,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AlwaysOutcome,
    RunReport,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import (
    KILLED,
    LOST,
    InFlight,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.output import screen_of
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.recap import Recap
from ansible_collections.treekill.remote.plugins.plugin_utils._records.notify import notify
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import (
    end_without_guardian,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.final_report import (
    FinalReport,
    print_line,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.own_guardian import OwnGuardian
from ansible_collections.treekill.remote.plugins.plugin_utils._run.process_end import (
    at_exit,
    die_as_signalled,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.report_wait import (
    GuardianSilent,
    without_main,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.signals import (
    RunSignals,
    StopWaiting,
    unwinding,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.strategies import (
    warn_of_strategy,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import (
    Fork,
    RunPipes,
    at_fork,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify

if t.TYPE_CHECKING:
    from ansible.executor.process.worker import WorkerProcess
    from ansible.inventory.host import Host
    from ansible.playbook.play import Play
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import AlwaysAnswer
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.always_run import AlwaysRun
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.workers import OwnWorkers

display = Display()


class GuardedRun:
    """The run of a main process, from its first play to its end.

    A process that continues after its plays has one for each run.
    """

    def __init__(self, options: KillOptions, records: RecordOptions) -> None:
        self.options = options
        self._main = identify(os.getpid())
        # All four ends stay open here. A write to the signal pipe must not fail while there is no
        # guardian: the interpreter would print a traceback.
        lifeline, self._held_end = os.pipe()
        signals, self._signal_end = os.pipe()
        self._pipes = RunPipes(lifeline, signals)
        self.guardian_client = GuardianClient(
            run=secrets.token_hex(8),
            main=self._main,
            announced=True,
            pipes=self._pipes,
            records=records,
        )
        self._guardian = OwnGuardian(self.guardian_client, self._lose_guardian)
        self.in_flight: InFlight | None = None
        #: Whether an earlier guardian of this run was lost. The report of the present guardian does
        #: not contain the leases of the lost one.
        self._has_lost_guardian = False
        self._signals = RunSignals(self._signal_end, self._await_freeze)
        self._prepare_worker: t.Callable[[], None] = lambda: None
        self._workers: OwnWorkers | None = None
        self._always: AlwaysRun | None = None
        #: Whether this is a worker that reports each of its signals to the guardian.
        self._reports_signals = False

    def start(self) -> None:
        """Start the guardian, and install the signal handlers.

        Raises:
            EndpointError, OSError: no guardian can be started.
        """
        # First: another thread may fork now. The fork inherits these pipes, and would look like a
        # worker.
        at_fork(self._in_child)
        try:
            self._guardian.meet()
        except BaseException:
            at_fork(None)
            self._close_pipes()
            guardian_process.let_go(self.guardian_client.run)
            raise
        for descriptor in (self._signal_end, self._held_end):
            os.set_blocking(descriptor, False)
        announce(self.guardian_client)
        # This hook runs later than the hook at the fork itself. There asyncio removes the wakeup
        # descriptor that was set.
        multiprocessing.util.register_after_fork(self, GuardedRun._report_signals)
        if is_supported(Feature.WORKERS):
            from ansible_collections.treekill.remote.plugins.plugin_utils._run.workers import (  # noqa: PLC0415
                OwnWorkers,
            )

            self._workers = OwnWorkers(self._mark_worker, self._unwind_after_fork)
        if not self._signals.install():
            display.warning(
                "treekill.remote: this run is in a thread of its program, where Python allows no"
                " signal handlers. A signal alone ends nothing. Tasks in flight are ended when"
                " their workers or the whole program end."
            )
        at_exit(self._end_with_process)

    def run_always(self) -> None:
        """Go on to `always` sections after the first interruption of this run."""
        if self._workers is None:
            return
        from ansible_collections.treekill.remote.plugins.plugin_utils._run import (  # noqa: PLC0415  # only with the option
            patch_executor,
            patch_iterator,
        )
        from ansible_collections.treekill.remote.plugins.plugin_utils._run.always_run import (  # noqa: PLC0415
            AlwaysRun,
        )

        self._always = AlwaysRun(
            self.guardian_client.page,
            self._signals,
            await_trees=self._await_trees,
            play_hosts=self._workers.play_hosts,
            in_flight=lambda: self.in_flight,
            is_guardian_gone=lambda: self._guardian.is_gone,
            resume_workers=self._workers.resume,
        )
        self.guardian_client.page.allow_always()
        patch_iterator.install(self._always)
        patch_executor.install(self._workers.share_our_group)
        self._prepare_worker = patch_executor.prepare_worker
        self._signals.always = self._always

    def task_ended(self, host: Host) -> None:
        """Take the result of a host's task."""
        if self._always is not None:
            self._always.note_unguarded()
        if self.in_flight is not None:
            self.in_flight.ended(host)

    def _forget_always(self) -> None:
        if self._always is not None:
            from ansible_collections.treekill.remote.plugins.plugin_utils._run import (  # noqa: PLC0415
                patch_executor,
                patch_iterator,
            )

            patch_executor.uninstall()
            patch_iterator.uninstall()

    def _await_trees(self) -> AlwaysAnswer | None:
        answer = self._guardian.await_trees()
        self._guardian.forget_freeze()
        return answer

    def _mark_worker(self, worker: WorkerProcess) -> None:
        """Let a worker know whether its task belongs to an `always` section that runs now."""
        self.guardian_client.page.for_always = self._always is not None and self._always.is_handed(
            worker._host.name
        )
        if self._always is not None:
            self._always.note_begun(worker)

    def keep_alive(self) -> None:
        """Start another guardian, and warn, if the guardian has died or its socket is gone.

        Called repeatedly during the run.
        """
        if self._signals.received or (self._always is not None and self._always.awaits_trees):
            return
        warning = self._signals.reinstall()
        if warning:
            display.warning(warning)
        self._guardian.replace_if_lost()

    def warn_about(self, play: Play) -> None:
        """Warn of a strategy that is not guarded, and of what looks like an option and is none."""
        warn_of_strategy(play, display)
        if is_supported(Feature.NAMES):
            from ansible_collections.treekill.remote.plugins.plugin_utils._run import (  # noqa: PLC0415
                option_names,
            )

            option_names.warn_of_unknown_names(play, display)

    def set_after_kill(self, plan: AfterPlan | None) -> None:
        """Set what the guardian runs after the kill; None, as at the beginning, for nothing."""
        self._guardian.set_after_kill(plan)

    def _lose_guardian(self, killed: bool) -> None:
        self._has_lost_guardian = True
        if self.in_flight is not None:
            self.in_flight.lose_guardian(KILLED if killed else LOST)

    def _in_child(self, kind: Fork) -> None:
        """Remove the handlers of the run in a fork of the main process.

        A fork by another plugin, or by a program around the run, leaves the run altogether.
        """
        self._signals.uninstall()
        if kind is Fork.WORKER:
            self._prepare_worker()
        self._guardian.close()
        at_exit(None)
        if kind is Fork.STRANGER:
            if self._reports_signals:
                signal.set_wakeup_fd(-1)
            guardian_process.let_go(self.guardian_client.run)
            self.guardian_client.pipes = None
            self._close_pipes()
        self._reports_signals = (
            kind is Fork.WORKER and self._workers is not None and self._workers.share_our_group
        )

    def _report_signals(self) -> None:
        """Have the interpreter of a worker write the number of each signal for the guardian.

        It does so whatever a handler does.
        """
        if self._reports_signals:
            signal.set_wakeup_fd(self._held_end, warn_on_full_buffer=False)

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process is the main process, and not a fork of it."""
        return os.getpid() == self._main.pid

    @property
    def has_guardian(self) -> bool:
        """Whether there is a guardian that has not hung up."""
        return not self._guardian.is_gone

    @property
    def interrupted(self) -> bool:
        """Whether a signal has interrupted the run."""
        return bool(self._signals.received)

    def reraise_interrupt(self) -> None:
        """Raise the exception of the interruption again if it was lost.

        The main thread calls this at core's events, of which there should be none after an
        interruption. The interpreter drops an exception of a handler in a hook: after a fork, in a
        finalizer. The run would then continue, each task would be refused, and a play that ignores
        errors would end with status 0.
        """
        if self._signals.received:
            raise unwinding(self._signals.received[0])

    def _unwind_after_fork(self) -> None:
        """Raise a lost interruption again, after the fork of a worker.

        Otherwise core sees that the worker has ended by the signal, and ends the run with another
        status.
        """
        if threading.current_thread() is threading.main_thread():
            self.reraise_interrupt()

    def _await_freeze(self) -> bool:
        if self._workers is not None:
            self._workers.expect_deaths()
        return self._guardian.await_freeze()

    # The end.

    def _end_with_process(self) -> None:
        """Wait for the report, show it, and end the process as core would have ended it.

        Runs after core's clean-up, before the interpreter's.
        """
        self._conclude()
        # Other plugins may take long at exit: a signal now has the effect that it has without this
        # collection.
        self._signals.uninstall(at_exit=True)
        die_as_signalled(self._signals.fatal)

    def finish(self) -> None:
        """Wait for the report, show it, and restore the process, which outlives its run."""
        try:
            self._conclude()
        finally:
            self._signals.uninstall()
            at_fork(None)
            if self._workers is not None:
                self._workers.forget()
            self._forget_always()
            withdraw(self.guardian_client)
            try:
                self._guardian.leave()
            finally:
                self._close_pipes()
                guardian_process.let_go(self.guardian_client.run)
        if self._signals.fatal:
            # The exception of the signal ends the program. At its exit the program dies of the
            # signal, unless it has begun another run.
            at_exit(lambda: die_as_signalled(self._signals.fatal))

    def _close_pipes(self) -> None:
        for descriptor in (*dataclasses.astuple(self._pipes), self._held_end, self._signal_end):
            os.close(descriptor)

    def _conclude(self) -> None:
        at_exit(None)
        try:
            with self._signals.as_orders():
                self._show_report()
        except StopWaiting:
            rest = (
                "the guardian is gone: what this run has started may be alive"
                if self._guardian.is_gone
                else without_main(os.environ[endpoint.ENVIRONMENT])
            )
            print_line(f"not waiting any longer; {rest}.")
        finally:
            self._leave_workers()

    def _show_report(self) -> None:
        self._guardian.notice_loss()
        if not self.interrupted:
            self.guardian_client.page.end_run()
        try:
            report = self._await_report()
        except (OSError, FrameError, endpoint.WrongPeer) as error:
            if self.interrupted:
                display.warning(
                    f"treekill.remote: no report from the guardian ({error})."
                    " What this run has started may be alive: look on its hosts."
                )
            if not isinstance(error, GuardianSilent):
                # No process listens at the socket, so no other process removes it.
                endpoint.remove(os.environ[endpoint.ENVIRONMENT])
                if self.guardian_client.records is not None and not self.interrupted:
                    end_without_guardian(self.guardian_client.records, self.guardian_client.run)
                if self._workers is not None:
                    self._workers.resume()
            return
        for warning in report.warnings:
            display.warning(warning)
        now = self.in_flight.unguarded() if self.in_flight is not None else []
        before = self._always.unguarded if self._always is not None else []
        tasks = [*before, *(task for task in now if task not in before)]
        recap = Recap(
            dataclasses.replace(report, always=self._always_outcomes),
            self.interrupted,
            screen_of(display),
            tasks=tasks,
            lost=self._has_lost_guardian,
        )
        recap.show(display)
        command = (
            self.guardian_client.records.notify_command if self.guardian_client.records else ""
        )
        if command and self.interrupted:
            failure = notify(command, recap.verdict_data)
            if failure:
                display.warning(f"treekill.remote: notify_command failed: {failure}")

    @property
    def _always_outcomes(self) -> tuple[AlwaysOutcome, ...]:
        return self._always.outcomes if self._always is not None else ()

    def _await_report(self) -> RunReport:
        patience = self._guardian.patience(self.interrupted)
        path = os.environ[endpoint.ENVIRONMENT]
        final = FinalReport(
            path,
            patience,
            self._signals,
            self._always_outcomes,
        )
        return final.receive(self.options.wait)

    def _leave_workers(self) -> None:
        """Kill the remaining workers after an interruption: core waits for them at exit.

        They stay stopped while their host has not been tried. The guardian ends their clients.
        """
        if self.interrupted and self._workers is not None:
            self._workers.kill()
