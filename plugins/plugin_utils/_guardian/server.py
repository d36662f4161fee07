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
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.run import AfterRun
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.target_hosts import (
    after_hosts,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.connections import (
    ClientConnection,
    ClientConnections,
    NotTheMainProcess,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.local_processes import (
    LocalProcesses,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.reporter import RunReporter
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    AfterKillRequest,
    FirstWarning,
    Heard,
    LeaseAnswer,
    LeaseBroken,
    LeaseDetached,
    LeaseDone,
    LeaseRequest,
    LeaveRequest,
    Left,
    MainProcess,
    ReportRequest,
    Request,
    Tried,
    UnguardedRequest,
    answer_frame,
    report_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import (
    Dispatcher,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease, LeaseTable
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import prepare
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import RunRecorder
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
    Loop,
    read_ready,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import (
    RUN_SIGNALS,
    RunPipes,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import ProcessWatch

#: Sent to the main process once, when the local clients of an interrupted run are frozen.
FROZEN = b"F"

#: Seconds. The terminal sends Ctrl-C to a whole process group, and a wrapper in it often forwards
#: the signal. A second Ctrl-C by hand comes later than this.
_SAME_SIGNAL_SECONDS = 0.2


#: Maximum number of polls. Each one serves all connections that have something to read.
_MAX_POLLS = 10_000


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
        self._wake = pipes.wake if pipes else None
        self._watches: list[ProcessWatch] = []
        self._loop = Loop()
        self._leases = LeaseTable()
        self._dispatcher = Dispatcher(self._leases, self._loop, self._order_tried)
        self._local = LocalProcesses(self._loop, path, pipes.lifeline if pipes else None, main.pid)
        self._after = AfterRun(self._loop, os.path.dirname(path), self._send_progress)
        self._reporter = RunReporter(run, self._leases, self._dispatcher, self._after, recorder)
        self._clients = ClientConnections(
            self._loop, listener, self._take_request, self._client_gone
        )
        self._reporting: list[ClientConnection] = []
        #: Workers that wait for the first try of their own lease's kill order, with the numbers of
        #: their requests.
        self._awaiting: dict[str, list[tuple[ClientConnection, int | None]]] = {}
        self._cause = ""
        self._signalled_at = 0.0
        self._interrupted_at = 0.0
        self._skips_grace = False
        self._over = False
        #: The name of the program that started the run, if it is gone.
        self._launcher_exit = ""
        #: Whether the main process continues without this guardian.
        self._left = False

    def serve(self) -> None:
        """Serve as long as the main process runs or anything is left to do."""
        prepare()
        self._recorder.serve(self._loop)
        self._page.guardian_reads()
        if self._page.gate_closed:
            # The run was interrupted, and the guardian that interrupted it was killed.
            self._leases.close_gate()
        if self._main is not None:
            self._watches.append(ProcessWatch(self._loop, self._main, self._main_gone))
        self._clients.listen()
        if self._wake is not None:
            os.set_blocking(self._wake, False)
            self._loop.watch(self._wake, self._read_signals)
        self._loop.run_while(
            lambda: (
                self._main is not None
                or bool(self._leases.unclosed)
                or self._local.busy
                or self._after.busy
            )
        )
        self._recorder.record_report(self._reporter.report(self._cause), complete=True)
        self._recorder.over(self._loop)
        if not self._left:
            endpoint.remove(self._path)

    # The main process, and the program that started it.

    def _catch_up(self) -> None:
        """Read all that was sent before this moment.

        A guardian that was late must not take the end of a run for its interruption.
        """
        for dummy in range(_MAX_POLLS):
            if not self._loop.poll():
                break

    def _main_gone(self) -> None:
        self._catch_up()
        if self._main is None:
            return
        gone, self._main = self._main.pid, None
        self._local.lose_main()
        if not self._over and not (self._page.run_ended and self._only_detached):
            self._interrupt("the main process is gone")
        self._local.end_orphans(
            client.pid for client in self._clients if client.is_worker and client.pid != gone
        )

    def _front_gone(self, name: str) -> None:
        self._catch_up()
        self._launcher_exit = f"{name} is gone"
        # For a run that is interrupted already, one more signal would be a second Ctrl-C.
        if self._main is not None and not self._over and not self._cause:
            self._local.terminate(self._main)

    # Connections.

    def _client_gone(self, client: ClientConnection) -> None:
        if client in self._reporting:
            self._reporting.remove(client)
        if client.is_main:
            self._step_back()
        for lease in self._leases.holder_gone(client.number):
            self._give_order(lease)

    def _step_back(self) -> None:
        """Leave the signals to another guardian: the main process has closed its connection.

        It is gone, or it has found another guardian, which must read all further signals.
        """
        if self._wake is not None:
            self._loop.unwatch(self._wake)
            self._wake = None

    # Messages.

    def _take_request(self, client: ClientConnection, request: Request, number: int | None) -> None:
        self._page.guardian_reads()
        match request:
            case LeaseRequest():
                self._op_lease(client, request, number)
            case LeaseDone():
                self._op_done(client, request.lease)
            case LeaseDetached():
                self._op_detach(client, request.lease)
            case LeaseBroken():
                self._op_broken(client, request, number)
            case UnguardedRequest():
                self._op_unguarded(client, request, number)
            case _:
                self._take_from_main(client, request)

    def _take_from_main(self, client: ClientConnection, request: Request) -> None:
        """Carry out a request that only the main process may send, because it ends a run.

        On a system that gives no pids (0), any process of this user may.
        """
        if self._main is None or client.pid not in (0, self._main.pid):
            raise NotTheMainProcess(f"process {client.pid} is not the main process")
        match request:
            case MainProcess():
                self._op_main(client, request)
            case AfterKillRequest():
                self._after.intend(request.after_kill)
            case ReportRequest():
                self._op_report(client, request.wait)
            case LeaveRequest():
                self._op_leave(client)

    def _answer(self, client: ClientConnection, answer: JsonRecord, number: int | None) -> bool:
        """Answer one of several requests. The worker skips answers for which it no longer waits."""
        return self._clients.reply(client, answer_frame(answer, number))

    # Workers.

    def _op_lease(
        self, client: ClientConnection, request: LeaseRequest, number: int | None
    ) -> None:
        if self._is_too_late(request):
            self._answer(client, LeaseAnswer(granted=False, late=True, why=self._cause), number)
            return
        lease = Lease(
            request.lease,
            client.number,
            request.host,
            request.task,
            request.terms,
            request.order,
            request.reach,
            worker=client.pid,
            answered=False,
        )
        client.is_worker = True
        if lease.terms.polls:
            client.polls = (lease.host, lease.terms.polls.partition(".")[0])
        granted = self._leases.grant(lease)
        lease.answered = self._answer(
            client, LeaseAnswer(granted=granted, late=False, why=self._cause), number
        )
        if granted and lease.answered:
            self._recorder.opened(lease)

    def _is_too_late(self, request: LeaseRequest) -> bool:
        """Whether the worker no longer waits.

        Then its command has gone out without a lease, and must not be ended.
        """
        return request.deadline is not None and self._loop.clock() >= request.deadline

    def _op_done(self, client: ClientConnection, name: str) -> None:
        if self._leases.done(name, client.number):
            self._local.thaw(name)
            self._recorder.done(name)
        elif not self._leases.knows(name):
            # An earlier guardian granted the lease, and was lost. The lease would stay open in the
            # journal, and a sweep would end what the command left on purpose.
            self._recorder.done(name)

    def _op_detach(self, client: ClientConnection, name: str) -> None:
        lease = self._leases.mark_detached(name, client.number)
        if lease is not None or not self._leases.knows(name):
            self._recorder.detached(name)
        if lease is not None and not lease.terms.end_async:
            # The order is kept. The play may poll the job later, which is in flight then.
            self._recorder.done(name)

    def _op_broken(
        self, client: ClientConnection, request: LeaseBroken, number: int | None
    ) -> None:
        lease = self._leases.broken(request.lease, client.number)
        if not self._cause and not request.lost:
            # The worker gave it up and continues: the task's timeout.
            self._after.exempt(request.lease)
        if request.wait:
            self._answer(client, Heard(), number)
            self._awaiting.setdefault(request.lease, []).append((client, number))
        if lease is not None and request.lost and lease.terms.keep:
            self._leases.close(
                lease.lease,
                LeaseResult(Outcome.LEFT, "its connection was lost, and on_disconnect is keep"),
            )
            self._write_down()
        elif lease is not None:
            self._give_order(lease)
        if not self._dispatcher.in_hand_for(request.lease):
            self._answer_awaiting(request.lease)

    def _answer_awaiting(self, name: str) -> None:
        for client, number in self._awaiting.pop(name, []):
            self._answer(
                client,
                Tried(self._reporter.result_of(name)),
                number,
            )

    def _op_unguarded(
        self, client: ClientConnection, request: UnguardedRequest, number: int | None
    ) -> None:
        first = self._reporter.note_unguarded(request.host, request.connection, request.reason)
        self._answer(client, FirstWarning(first), number)

    # The main process.

    def _op_main(self, client: ClientConnection, request: MainProcess) -> None:
        client.is_main = True
        self._after.intend(request.after_kill)
        front = request.front
        if front is not None:
            name = front.name
            self._watches.append(
                ProcessWatch(
                    self._loop, ProcessId(front.pid, front.start), lambda: self._front_gone(name)
                )
            )

    def _op_report(self, client: ClientConnection, wait: bool) -> None:
        # Other connections may hold what workers sent before the run ended.
        self._catch_up()
        if not self._only_detached:
            self._interrupt("the run ended with tasks in flight")
        # From here on the end of the main process is an ordinary one, and does not end asynchronous
        # jobs that the run left.
        self._over = True
        if wait:
            self._reporting.append(client)
            self._send_progress()
        else:
            self._clients.reply(client, report_frame(self._reporter.report(self._cause)))

    @property
    def _only_detached(self) -> bool:
        """Whether no task is in flight. Jobs that the run has left may be running."""
        return all(lease.detached for lease in self._leases.opened)

    def _op_leave(self, client: ClientConnection) -> None:
        """Let the main process continue with another run, as ansible-console does.

        This guardian does the rest of its work without it.
        """
        self._over = self._left = True
        self._main = None
        for watch in self._watches:
            watch.stop()
        self._clients.close()
        # Before the answer: the guardian of the next run uses this path too.
        endpoint.remove(self._path)
        self._clients.reply(client, Left().to_message())

    # The interruption.

    def _read_signals(self) -> None:
        for number in self._signals_read():
            now = self._loop.clock()
            if self._over and not self._cause and not self._skips_grace:
                # The run has ended by itself, and its main process waits for the rest.
                self._skip_grace()
            elif not self._cause:
                self._signalled_at = now
                self._interrupt(self._launcher_exit or signal.Signals(number).name, number)
            elif self._after.busy:
                self._after.interrupt()
            elif now - self._signalled_at > _SAME_SIGNAL_SECONDS and not self._skips_grace:
                self._skip_grace()

    def _signals_read(self) -> list[int]:
        """Return the signals that interrupt a run. A program may write others to this pipe."""
        numbers = read_ready(t.cast(int, self._wake))
        if numbers is None:
            self._step_back()
        return [number for number in numbers or b"" if number in RUN_SIGNALS]

    def _skip_grace(self) -> None:
        self._skips_grace = True
        self._dispatcher.skip_grace()
        self._send_progress()

    def _interrupt(self, cause: str, number: int = 0) -> None:
        """Close the gate, freeze the local clients, and give every kill order.

        docs/how_it_kills.md gives the reason for this order.
        """
        if self._cause:
            return
        self._cause, self._interrupted_at = cause, self._loop.clock()
        self._leases.close_gate()
        self._page.close_gate()
        self._local.freeze(self._leases.opened)
        if number:
            # Before the main process continues. It ends its workers, and then nothing leads to what
            # they have started.
            self._local.signal_idle(
                number,
                {
                    lease.worker
                    for lease in (*self._leases.opened, *self._leases.unclosed)
                    if not lease.detached
                },
            )
        # By now everything that was sent during the freeze is here: a frozen worker sends nothing
        # more.
        self._loop.poll()
        self._report_frozen()
        broken = self._break_all()
        for lease in broken:
            if lease.terms.cut:
                # The fastest order there is: the supervisor gets it a round trip later. The kill
                # order follows, to check on it and to fetch the report.
                self._local.cut(lease)
        for lease in broken:
            self._give_order(lease)
        self._recorder.interrupted(cause)
        self._write_down()
        self._begin_after()

    def _break_all(self) -> list[Lease]:
        """Break every open lease, and return those that need an order.

        Under the others nothing can have begun.
        """
        not_begun = self._local.not_begun(self._leases.opened, self._page.may_have_begun)
        broken = self._leases.break_all()
        for lease in broken:
            if lease.lease in not_begun:
                self._close_here(
                    lease, LeaseResult(Outcome.NOT_BEGUN, "its command had not been sent")
                )
        return [lease for lease in broken if lease.lease not in not_begun]

    def _begin_after(self) -> None:
        """Start the run after the kill, once, when every host has been tried."""
        if self._cause and self._dispatcher.in_hand == 0 and self._after.wanted:
            self._after.begin(
                self._run, self._cause, after_hosts(self._leases, self._after.exempted)
            )

    def _write_down(self) -> None:
        """Record the results of the orders, and write the report when each order has been tried."""
        self._recorder.closed(self._leases.closed)
        if not self._dispatcher.in_hand:
            self._recorder.record_report(
                self._reporter.report(self._cause),
                complete=bool(self._cause) and not self._leases.unclosed,
            )

    def _report_frozen(self) -> None:
        for client in self._clients:
            if client.is_main:
                try:
                    client.socket.send(FROZEN)
                except OSError:
                    pass  # It is gone, or does not read. It waits for this only for a moment.

    def _give_order(self, lease: Lease) -> None:
        if lease.terms.transfer:
            self._close_here(lease, LeaseResult(Outcome.BROKEN_OFF, "a file transfer"))
            return
        polled = self._is_polled(lease)
        if polled:
            # The journal lists it as done since it was detached.
            self._recorder.opened(lease)
        if lease.detached and not lease.terms.end_async and not polled:
            self._leases.close(
                lease.lease,
                LeaseResult(
                    Outcome.LEFT, "an asynchronous job with poll 0, and kill_async is false"
                ),
            )
        else:
            self._dispatcher.give_order(lease)

    def _close_here(self, lease: Lease, result: LeaseResult) -> None:
        """Close a lease without an order: it is enough to end its client."""
        self._local.end_clients_of(lease)
        self._leases.close(lease.lease, result)

    def _is_polled(self, lease: Lease) -> bool:
        """Whether a task of this run waits for this detached job at this moment.

        Then the job is in flight as that task is.
        """
        job = (lease.host, lease.terms.job)
        return (
            lease.detached
            and lease.terms.job != ""
            and any(client.polls == job for client in self._clients)
        )

    def _order_tried(self, lease: Lease) -> None:
        self._local.end_clients_of(lease)
        self._answer_awaiting(lease.lease)
        self._write_down()
        self._begin_after()
        self._send_progress()

    def _send_progress(self) -> None:
        if not self._reporting:
            return
        if self._is_tried:
            # Main ends when it gets the report. Before that the report is written for others, and
            # main can still print what could not be written.
            self._recorder.when_written(self._send_report)
            return
        seconds = self._loop.clock() - self._interrupted_at
        progress = self._reporter.progress(seconds, self._skips_grace)
        for client in list(self._reporting):
            self._clients.reply(client, report_frame(progress))

    @property
    def _is_tried(self) -> bool:
        return self._dispatcher.in_hand == 0 and not self._after.busy

    def _send_report(self) -> None:
        if not self._is_tried:
            return
        reporting, self._reporting = self._reporting, []
        for client in reporting:
            self._clients.reply(client, report_frame(self._reporter.report(self._cause)))
