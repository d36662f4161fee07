# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guardian: a process of the run that holds the leases and gives the kill orders.

It has a session of its own. It serves as long as the main process runs or a broken lease is not
closed.
"""

from __future__ import annotations

import os
import signal
import socket

from ansible_collections.treekill.remote.plugins.module_utils._process.masked_words import (
    compile_masks,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.run import AfterRun
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.always_phase import (
    AlwaysPhase,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.connections import (
    ClientConnection,
    ClientConnections,
    NotTheMainProcess,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.interruption import (
    Interruption,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.local_processes import (
    LocalProcesses,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.reporter import RunReporter
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.results import Results
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.signal_pipe import (
    SignalPipe,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    AfterKillPlanNotice,
    AlwaysRequest,
    LeaseAnswer,
    LeaseBrokenNotice,
    LeaseBrokenReceipt,
    LeaseDetachedNotice,
    LeaseDoneNotice,
    LeaseRequest,
    LeaveAnswer,
    LeaveRequest,
    MainProcessNotice,
    NewsAnswer,
    NewsRequest,
    ReportRequest,
    Request,
    UnguardedAnswer,
    UnguardedRequest,
    answer_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import Gate, RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import (
    Dispatcher,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.pulses import Pulses
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease, LeaseTable
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import prepare
from ansible_collections.treekill.remote.plugins.plugin_utils._records.notify import notify_alone
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import RunRecorder
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RunPipes
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import ProcessWatch

#: Seconds. The terminal sends Ctrl-C to a whole process group, and a wrapper in it often forwards
#: the signal. A second Ctrl-C by hand comes later than this.
_SAME_SIGNAL_SECONDS = 0.2


class Guardian:
    """The guardian of one run. Its loop calls every method."""

    def __init__(
        self,
        run: str,
        main: ProcessId,
        listener: socket.socket,
        path: str,
        pipes: RunPipes | None,
        recorder: RunRecorder,
        *,
        page: RunPage | None = None,
    ) -> None:
        self._run = run
        self._recorder = recorder
        self._page = RunPage() if page is None else page
        self._main: ProcessId | None = main
        self._path = path
        self._watches: list[ProcessWatch] = []
        self._loop = Loop()
        self._leases = LeaseTable()
        self._dispatcher = Dispatcher(
            self._leases, self._loop, self._order_tried, self._send_progress
        )
        self._signals = SignalPipe(self._loop, pipes.signals if pipes else None, self._take_signal)
        self._local = LocalProcesses(self._loop, path, pipes.lifeline if pipes else None, main.pid)
        self._after = AfterRun(self._loop, os.path.dirname(path), self._send_progress)
        self._reporter = RunReporter(run, self._leases, self._dispatcher, self._after, recorder)
        self._connections = ClientConnections(
            self._loop, listener, self._take_request, self._connection_closed
        )
        self._always = AlwaysPhase(
            self._page,
            self._leases,
            connections=self._connections,
            local=self._local,
            dispatcher=self._dispatcher,
            reporter=self._reporter,
        )
        self._interruption = Interruption(
            self._loop,
            self._page,
            self._leases,
            always=self._always,
            connections=self._connections,
            local=self._local,
            dispatcher=self._dispatcher,
            recorder=recorder,
        )
        self._results = Results(
            self._leases,
            self._connections,
            self._interruption,
            dispatcher=self._dispatcher,
            after=self._after,
            reporter=self._reporter,
            recorder=recorder,
            always=self._always,
        )
        self._pulses = Pulses(self._loop, main, self._page)
        self._signalled_at = 0.0
        self._over = False
        #: The name of the program that started the run, if it is gone.
        self._launcher_exit = ""
        #: Whether the main process continues without this guardian.
        self._left = False

    def serve(self) -> None:
        """Serve as long as the main process runs or anything is left to do."""
        prepare()
        compile_masks()
        self._recorder.serve(self._loop)
        self._page.guardian_reads()
        if self._page.gate is not Gate.OPEN:
            # The run was interrupted, and the guardian that interrupted it was killed.
            self._leases.close_gate()
        if self._page.gate is Gate.ALWAYS:
            self._interruption.cause = signal.Signals(self._page.always_after).name
            self._always.take_over()
        if self._main is not None:
            self._watches.append(ProcessWatch(self._loop, self._main, self._main_gone))
        self._connections.listen()
        self._signals.listen()
        self._loop.run_while(
            lambda: (
                self._main is not None
                or bool(self._leases.unclosed)
                or self._local.busy
                or self._after.busy
            )
        )
        self._recorder.record_report(self._reporter.report(self._interruption.cause), complete=True)
        self._recorder.over(self._loop)
        command = self._recorder.records.options.notify_command
        if command and self._interruption.cause and not self._results.is_reported:
            notify_alone(command, self._reporter.report(self._interruption.cause))
        if not self._left:
            endpoint.remove(self._path)

    # The main process, and the program that started it.

    def _main_gone(self) -> None:
        # A guardian that was late must not take the end of a run for its interruption.
        self._loop.catch_up()
        if self._main is None:
            return
        gone, self._main = self._main.pid, None
        self._local.lose_main()
        if not self._over and not (self._page.run_ended and self._only_detached):
            self._interrupt("the main process is gone")
        self._local.end_orphans(
            connection.pid
            for connection in self._connections
            if connection.is_worker and connection.pid != gone
        )

    def _launcher_gone(self, name: str) -> None:
        self._loop.catch_up()
        self._launcher_exit = f"{name} is gone"
        # For a run that is interrupted already, one more signal would be a second Ctrl-C.
        if self._main is not None and not self._over and not self._interruption.cause:
            self._local.terminate(self._main)

    # Connections.

    def _connection_closed(self, connection: ClientConnection) -> None:
        self._results.forget(connection)
        if connection.is_main:
            self._signals.leave()
        for lease in self._leases.holder_gone(connection.number):
            self._interruption.give_order(lease)

    # Messages.

    def _take_request(
        self, connection: ClientConnection, request: Request, number: int | None
    ) -> None:
        self._page.guardian_reads()
        match request:
            case LeaseRequest():
                self._op_lease(connection, request, number)
            case LeaseDoneNotice():
                self._op_done(connection, request.lease)
            case LeaseDetachedNotice():
                self._op_detach(connection, request.lease)
            case LeaseBrokenNotice():
                self._op_broken(connection, request, number)
            case UnguardedRequest():
                self._op_unguarded(connection, request, number)
            case NewsRequest():
                self._answer(connection, NewsAnswer(self._pulses.take_unreported()), number)
            case _:
                self._take_from_main(connection, request, number)

    def _take_from_main(
        self, connection: ClientConnection, request: Request, number: int | None
    ) -> None:
        """Carry out a request that only the main process may send, because it ends a run.

        On a system that gives no pids (0), any process of this user may.
        """
        if self._main is None or connection.pid not in (0, self._main.pid):
            raise NotTheMainProcess(f"process {connection.pid} is not the main process")
        match request:
            case MainProcessNotice():
                self._op_main(connection, request)
            case AfterKillPlanNotice():
                self._after.intend(request.after_kill)
            case AlwaysRequest():
                self._always.ask(connection, number)
            case ReportRequest():
                self._reporter.always = request.always
                self._op_report(connection, request.wait)
            case LeaveRequest():
                self._op_leave(connection)

    def _answer(self, connection: ClientConnection, answer: JsonRecord, number: int | None) -> bool:
        """Answer one of several requests. The worker skips answers for which it no longer waits."""
        return self._connections.reply(connection, answer_frame(answer, number))

    # Workers.

    def _op_lease(
        self, connection: ClientConnection, request: LeaseRequest, number: int | None
    ) -> None:
        if self._is_too_late(request):
            self._answer(
                connection,
                LeaseAnswer(granted=False, late=True, why=self._interruption.cause),
                number,
            )
            return
        lease = Lease(
            request.lease,
            connection.number,
            request.host,
            request.task,
            request.terms,
            request.order,
            request.reach,
            worker=connection.pid,
            answered=False,
            always=request.always,
        )
        connection.is_worker = True
        if lease.terms.polls:
            connection.polls = (lease.host, lease.terms.polls.partition(".")[0])
        granted = self._leases.grant(lease)
        if granted and lease.terms.unseen_end:
            # Before the answer: the worker reads it before it sends the command.
            self._pulses.tell_unseen_end(lease.host, lease.terms.unseen_end)
        lease.answered = self._answer(
            connection,
            LeaseAnswer(granted=granted, late=False, why=self._interruption.cause),
            number,
        )
        if granted and lease.answered:
            self._recorder.opened(lease)
            if lease.terms.pulse:
                self._pulses.hold(lease)

    def _is_too_late(self, request: LeaseRequest) -> bool:
        """Whether the worker no longer waits.

        Then its command has gone out without a lease, and must not be ended.
        """
        return request.deadline is not None and self._loop.clock() >= request.deadline

    def _op_done(self, connection: ClientConnection, name: str) -> None:
        if self._leases.done(name, connection.number):
            self._local.resume(name)
            self._recorder.done(name)
            self._pulses.release_done(name)
        elif not self._leases.knows(name):
            # An earlier guardian granted the lease, and was lost. The lease would stay open in the
            # journal, and a sweep would end what the command left on purpose.
            self._recorder.done(name)

    def _op_detach(self, connection: ClientConnection, name: str) -> None:
        lease = self._leases.mark_detached(name, connection.number)
        if lease is not None or not self._leases.knows(name):
            self._recorder.detached(name)
        if lease is not None and not lease.terms.end_async:
            # The order is kept. The play may poll the job later, which is in flight then.
            self._recorder.done(name)

    def _op_broken(
        self, connection: ClientConnection, request: LeaseBrokenNotice, number: int | None
    ) -> None:
        lease = self._leases.broken(request.lease, connection.number)
        if not self._interruption.cause and not request.lost:
            # The worker gave it up and continues: the task's timeout.
            self._after.exempt(request.lease)
        if request.wait:
            self._answer(connection, LeaseBrokenReceipt(), number)
            self._results.await_try(request.lease, connection, number)
        if lease is not None and request.lost and lease.terms.keep:
            self._leases.close(
                lease.lease,
                LeaseResult(Outcome.LEFT, "its connection was lost, and on_disconnect is keep"),
            )
            self._results.write_down()
        elif lease is not None:
            self._interruption.give_order(lease)
        if not self._dispatcher.is_untried(request.lease):
            self._results.answer_awaiting(request.lease)

    def _op_unguarded(
        self, connection: ClientConnection, request: UnguardedRequest, number: int | None
    ) -> None:
        first = self._reporter.note_unguarded(request.host, request.connection, request.reason)
        self._answer(connection, UnguardedAnswer(first), number)

    # The main process.

    def _op_main(self, connection: ClientConnection, request: MainProcessNotice) -> None:
        connection.is_main = True
        self._after.intend(request.after_kill)
        launcher = request.launcher
        if launcher is not None:
            name = launcher.name
            self._watches.append(
                ProcessWatch(
                    self._loop,
                    ProcessId(launcher.pid, launcher.start),
                    lambda: self._launcher_gone(name),
                )
            )

    def _op_report(self, connection: ClientConnection, wait: bool) -> None:
        # Other connections may hold what workers sent before the run ended.
        self._loop.catch_up()
        if not self._only_detached:
            self._interrupt("the run ended with tasks in flight")
        self._always.end()
        if not self._interruption.cause:
            # Before the main process may end, and the whole controller with it.
            self._pulses.release(*self._pulses.held)
        # From here on the end of the main process is an ordinary one, and does not end asynchronous
        # jobs that the run left.
        self._over = True
        if self._reporter.always:
            self._results.write_down()
            self._results.begin_after(self._run)
        self._pulses.when_released(lambda: self._send_report(connection, wait))

    def _send_report(self, connection: ClientConnection, wait: bool) -> None:
        self._recorder.warnings += self._pulses.take_unreported()
        if self._page.sweeps:
            self._recorder.remind_of_nothing()
        if wait:
            self._results.await_report(connection)
        else:
            self._results.send_report(connection)

    @property
    def _only_detached(self) -> bool:
        """Whether no task is in flight. Jobs that the run has left may be running."""
        return all(lease.detached for lease in self._leases.opened)

    def _op_leave(self, connection: ClientConnection) -> None:
        """Let the main process continue with another run, as ansible-console does.

        This guardian does the rest of its work without it.
        """
        self._over = self._left = True
        self._main = None
        for watch in self._watches:
            watch.stop()
        self._connections.close()
        # Before the answer: the guardian of the next run uses this path too.
        endpoint.remove(self._path)
        self._connections.reply(connection, LeaveAnswer().to_message())

    # The interruption.

    def _take_signal(self, number: int) -> None:
        interruption, now = self._interruption, self._loop.clock()
        if self._over and not interruption.cause and not interruption.skips_grace:
            # The run has ended by itself, and its main process waits for the rest.
            self._skip_grace()
        elif not interruption.cause:
            self._signalled_at = now
            self._interrupt(self._launcher_exit or signal.Signals(number).name, number)
        elif self._after.busy:
            self._after.interrupt()
        elif now - self._signalled_at <= _SAME_SIGNAL_SECONDS:
            return
        elif self._always.is_open:
            # The tasks of `always` sections have a grace period of their own.
            self._signalled_at = now
            self._interrupt(signal.Signals(number).name, number)
        else:
            self._always.end()
            if not interruption.skips_grace:
                self._skip_grace()

    def _skip_grace(self) -> None:
        self._interruption.skip_grace()
        self._results.send_progress()

    def _interrupt(self, cause: str, number: int = 0) -> None:
        if self._interruption.cause and not self._always.is_on:
            return
        self._interruption.begin(cause, number)
        self._release_pulses()
        self._results.write_down()
        self._results.begin_after(self._run)

    def _order_tried(self, lease: Lease) -> None:
        self._release_pulses()
        self._local.end_clients_of(lease)
        self._results.answer_awaiting(lease.lease)
        self._results.write_down()
        self._results.begin_after(self._run)
        self._always.open_if_tried()
        self._results.note_tried()

    def _release_pulses(self) -> None:
        """Keep no pulse for closed leases. If its order has failed, the host ends the job."""
        for lease, result in self._leases.closed:
            self._pulses.release(
                lease.lease, stays=result.outcome not in (Outcome.FAILED, Outcome.UNREACHABLE)
            )

    def _send_progress(self) -> None:
        self._results.send_progress()
