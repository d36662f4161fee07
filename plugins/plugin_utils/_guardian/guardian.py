# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guardian: a process of the run, in its own session, that holds the leases and gives the kill orders.

This file is private to the collection treekill.remote.

It serves until the main process is gone and every broken lease is closed.
"""

from __future__ import annotations

import os
import signal
import socket
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.hosts import after_hosts
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.run import AfterRun
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.connections import ClientConnection, ClientConnections
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.local_processes import LocalProcesses
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import LeaseResult, Outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import Dispatcher
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease, LeaseTable
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import prepare
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import RunRecorder
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop, read_ready
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RUN_SIGNALS, RunPipes
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import ProcessWatch

FROZEN = b"F"
"""Sent to the main process, once, when the local clients of an interrupted run stand still."""

_SAME_SIGNAL = 0.2
"""Seconds. A wrapper in the same process group often passes on the Ctrl-C that the terminal has sent to both; a second one by hand takes longer."""


_CATCH_UP = 10_000
"""The most looks at what can be read. Each serves all connections at which there is something."""

_TAKE = {"lease": str, "host": str, "task": str, "order": str, "reach": str, "terms": dict}
_TERMS: dict[str, t.Any] = {
    "run": str, "timeout": (int, float), "retry_for": (int, float), "keep": bool, "end_async": bool, "local": bool, "cut": bool, "supervised": bool,
    "transfer": bool,
}  # fmt: skip
"""What a worker has to say when it takes a lease, by name and type. Found wrong only when the lease breaks, it would cost all others their report."""
_UNGUARDED = {"host": str, "connection": str, "reason": str}


def _check(message: JsonObject, members: dict[str, t.Any]) -> None:
    for name, kind in members.items():
        if not isinstance(message[name], kind):
            raise TypeError(f"{name} is a {type(message[name]).__name__}")


class Guardian:
    """Serves one run. Every method is called from its loop."""

    def __init__(
        self, run: str, main: ProcessId, listener: socket.socket, path: str, pipes: RunPipes | None, recorder: RunRecorder, *, page: RunPage | None = None
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
        self._after = AfterRun(self._loop, os.path.dirname(path), self._tell_progress)
        self._clients = ClientConnections(self._loop, listener, self._take_message, self._client_gone)
        self._reporting: list[ClientConnection] = []
        self._awaiting: dict[str, list[tuple[ClientConnection, JsonObject]]] = {}
        """Workers that wait for the kill order of their own lease to have been tried."""
        self._unguarded: dict[tuple[str, str], str] = {}
        """(host, connection) to the reason why what runs there can't be guarded."""
        self._cause = ""
        self._signalled_at = 0.0
        self._interrupted_at = 0.0
        self._hurried = False
        self._over = False
        self._lost_front = ""
        """The name of the front end that started the run, once that is gone."""
        self._left = False
        """Whether the main process goes on without this guardian."""

    def serve(self) -> None:
        """Until the main process is gone and nothing is left to do."""
        prepare()
        self._recorder.serve(self._loop)
        self._page.guardian_reads()
        if self._page.gate_closed:
            # The run was interrupted, and the guardian that knew of it was killed.
            self._leases.close_gate()
        if self._main is not None:
            self._watches.append(ProcessWatch(self._loop, self._main, self._main_gone))
        self._clients.listen()
        if self._wake is not None:
            os.set_blocking(self._wake, False)
            self._loop.watch(self._wake, self._read_signals)
        self._loop.run_while(lambda: self._main is not None or bool(self._leases.unclosed) or self._local.busy or self._after.busy)
        self._recorder.report(self._report()["report"], complete=True)
        self._recorder.over(self._loop)
        if not self._left:
            endpoint.remove(self._path)

    # The main process, and what has started it.

    def _catch_up(self) -> None:
        """Read all that was said before this moment: a guardian that was late must not take the end of a run for its interruption."""
        for dummy in range(_CATCH_UP):
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
        self._local.end_orphans(client.pid for client in self._clients if client.is_worker and client.pid != gone)

    def _front_gone(self, name: str) -> None:
        self._catch_up()
        self._lost_front = f"{name} is gone"
        # One more signal to a run that was interrupted would be taken for a second Ctrl-C.
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
        """The main process has hung up: it is gone, or it has met another guardian, who is to read what signals come."""
        if self._wake is not None:
            self._loop.unwatch(self._wake)
            self._wake = None

    # Messages.

    def _take_message(self, client: ClientConnection, message: JsonObject) -> None:
        self._page.guardian_reads()
        operations: dict[str, t.Callable[[ClientConnection, JsonObject], None]] = {
            "take": self._op_take,
            "done": self._op_done,
            "detach": self._op_detach,
            "broken": self._op_broken,
            "unguarded": self._op_unguarded,
            "main": self._op_main,
            "report": self._op_report,
            "leave": self._op_leave,
            "after": self._op_after,
        }
        operations[message["op"]](client, message)

    def _op_take(self, client: ClientConnection, message: JsonObject) -> None:
        _check(message, _TAKE)
        _check(message["terms"], _TERMS)
        if self._is_too_late(message):
            self._answer(client, message, {"granted": False, "late": True, "why": self._cause})
            return
        lease = Lease(holder=client.number, **{name: message[name] for name in _TAKE})
        lease.terms["worker"] = client.pid
        lease.answered = False
        client.is_worker = True
        if lease.terms.get("polls"):
            client.polls = (lease.host, str(lease.terms["polls"]).partition(".")[0])
        granted = self._leases.take(lease)
        lease.answered = self._answer(client, message, {"granted": granted, "late": False, "why": self._cause})
        if granted and lease.answered:
            self._recorder.opened(lease)

    def _is_too_late(self, message: JsonObject) -> bool:
        """Whether the worker waits no longer: its command has gone out without a lease, and nothing may end it."""
        deadline = message.get("deadline")
        return deadline is not None and self._loop.clock() >= float(deadline)

    def _answer(self, client: ClientConnection, message: JsonObject, answer: JsonObject) -> bool:
        """Reply to one request among several: the worker passes over answers to those that it has given up."""
        return self._clients.reply(client, {**answer, "number": message.get("number")})

    def _op_done(self, client: ClientConnection, message: JsonObject) -> None:
        if self._leases.done(message["lease"], client.number):
            self._local.thaw(message["lease"])
            self._recorder.done(message["lease"])
        elif not self._leases.knows(message["lease"]):
            # A guardian before this one has granted it, and was lost. In the journal it would stay open, and a sweep would end what it has left on purpose.
            self._recorder.done(message["lease"])

    def _op_detach(self, client: ClientConnection, message: JsonObject) -> None:
        lease = self._leases.detach(message["lease"], client.number)
        if lease is not None or not self._leases.knows(message["lease"]):
            self._recorder.detached(message["lease"])
        if lease is not None and not lease.terms["end_async"]:
            # The order stays: the play may ask for the job later, which is in flight then.
            self._recorder.done(lease.lease)

    def _op_broken(self, client: ClientConnection, message: JsonObject) -> None:
        lease = self._leases.broken(message["lease"], client.number)
        if not self._cause and not message["lost"]:
            # Given up by a worker that goes on: the timeout of one task.
            self._after.exempt(message["lease"])
        if message["wait"]:
            self._answer(client, message, {"heard": True})
            self._awaiting.setdefault(message["lease"], []).append((client, message))
        if lease is not None and message["lost"] and lease.terms["keep"]:
            self._leases.close(lease.lease, LeaseResult(Outcome.LEFT, "its connection was lost, and on_disconnect is keep"))
            self._write_down()
        elif lease is not None:
            self._give_order(lease)
        if not self._dispatcher.in_hand_for(message["lease"]):
            self._tell_awaiting(message["lease"])

    def _tell_awaiting(self, lease: str) -> None:
        for client, message in self._awaiting.pop(lease, []):
            self._answer(client, message, {"tried": next((result for result in self._results() if result["lease"] == lease), None)})

    def _op_unguarded(self, client: ClientConnection, message: JsonObject) -> None:
        _check(message, _UNGUARDED)
        where = (message["host"], message["connection"])
        self._answer(client, message, {"first": where not in self._unguarded})
        self._unguarded.setdefault(where, message["reason"])

    def _op_main(self, client: ClientConnection, message: JsonObject) -> None:
        self._check_main(client)
        client.is_main = True
        self._op_after(client, message)
        front = message.get("front")
        if front is not None:
            name, process = str(front["name"]), ProcessId(int(front["pid"]), int(front["start"]))
            self._watches.append(ProcessWatch(self._loop, process, lambda: self._front_gone(name)))

    def _op_after(self, client: ClientConnection, message: JsonObject) -> None:
        self._check_main(client)
        self._after.intend(message.get("after_kill"))

    def _check_main(self, client: ClientConnection) -> None:
        """What ends a run is taken from its main process alone; where the system does not tell pids (0), from this user's processes."""
        if self._main is None or client.pid not in (0, self._main.pid):
            raise ValueError(f"process {client.pid} is not the main process")

    def _op_report(self, client: ClientConnection, message: JsonObject) -> None:
        self._check_main(client)
        wait = bool(message["wait"])
        # What workers have said before the run ended may be in other connections.
        self._catch_up()
        if not self._only_detached:
            self._interrupt("the run ended with tasks in flight")
        # From here on the end of the main process is the ordinary one, and asynchronous jobs that the run left are on their own.
        self._over = True
        if wait:
            self._reporting.append(client)
            self._tell_progress()
        else:
            self._clients.reply(client, self._report())

    @property
    def _only_detached(self) -> bool:
        """Whether no task is in flight: only jobs that the run has left may be there."""
        return all(lease.detached for lease in self._leases.opened)

    def _op_leave(self, client: ClientConnection, message: JsonObject) -> None:
        """The run is over, and its main process goes on with another one: an ansible-console. What is left to do for this one is done without it."""
        self._check_main(client)
        self._over = self._left = True
        self._main = None
        for watch in self._watches:
            watch.stop()
        self._clients.close()
        # Before the answer: the guardian of the next run comes to the same place.
        endpoint.remove(self._path)
        self._clients.reply(client, {"left": True})

    # The interruption.

    def _read_signals(self) -> None:
        for number in self._signals_read():
            now = self._loop.clock()
            if self._over and not self._cause and not self._hurried:
                # The run has ended by itself, and its main process waits for what is left of it.
                self._hurry()
            elif not self._cause:
                self._signalled_at = now
                self._interrupt(self._lost_front or signal.Signals(number).name, number)
            elif self._after.busy:
                self._after.interrupt()
            elif now - self._signalled_at > _SAME_SIGNAL and not self._hurried:
                self._hurry()

    def _signals_read(self) -> list[int]:
        """Those that interrupt a run: whatever else is written there is no signal of ours."""
        numbers = read_ready(t.cast(int, self._wake))
        if numbers is None:
            self._step_back()
        return [number for number in numbers or b"" if number in RUN_SIGNALS]

    def _hurry(self) -> None:
        self._hurried = True
        self._dispatcher.hurry()
        self._tell_progress()

    def _interrupt(self, cause: str, number: int = 0) -> None:
        """Close the gate, freeze the local clients, give every kill order. In this order: see the design of the lease."""
        if self._cause:
            return
        self._cause, self._interrupted_at = cause, self._loop.clock()
        self._leases.close_gate()
        self._page.close_gate()
        self._local.freeze(self._leases.opened)
        if number:
            # Before the main process goes on: it ends its workers, and then nothing leads to what they have started.
            self._local.signal_idle(number, {lease.terms["worker"] for lease in (*self._leases.opened, *self._leases.unclosed) if not lease.detached})
        # What was done while the clients were being frozen is here by now: a worker that stands still sends nothing more.
        self._loop.poll()
        self._say_frozen()
        broken = self._break_all()
        for lease in broken:
            if lease.terms["cut"]:
                # The fastest order there is: the supervisor sees it a round trip later. What is sent besides looks after it, and fetches the report.
                self._local.cut(lease)
        for lease in broken:
            self._give_order(lease)
        self._recorder.interrupted(cause)
        self._write_down()
        self._begin_after()

    def _break_all(self) -> list[Lease]:
        """Break every open lease. Those that need an order: of the others nothing can have begun."""
        not_begun = self._local.not_begun(self._leases.opened, self._page.may_have_begun)
        broken = self._leases.break_all()
        for lease in broken:
            if lease.lease in not_begun:
                self._close_here(lease, LeaseResult(Outcome.NOT_BEGUN, "its command had not been sent"))
        return [lease for lease in broken if lease.lease not in not_begun]

    def _begin_after(self) -> None:
        """What is to be run once after an interruption, when every host has been tried."""
        if self._cause and self._dispatcher.in_hand == 0 and self._after.wanted:
            self._after.begin(self._run, self._cause, after_hosts(self._leases, self._after.exempted))

    def _write_down(self) -> None:
        """What has come of the orders until now; the report once each has been tried."""
        self._recorder.closed(self._leases.closed)
        if not self._dispatcher.in_hand:
            self._recorder.report(self._report()["report"], complete=bool(self._cause) and not self._leases.unclosed)

    def _say_frozen(self) -> None:
        for client in self._clients:
            if client.is_main:
                try:
                    client.socket.send(FROZEN)
                except OSError:
                    pass  # main is gone or does not listen: it waits for this for a moment only

    def _give_order(self, lease: Lease) -> None:
        if lease.terms["transfer"]:
            self._close_here(lease, LeaseResult(Outcome.BROKEN_OFF, "a file transfer"))
            return
        polled = self._is_polled(lease)
        if polled:
            # It was done with when it was detached.
            self._recorder.opened(lease)
        if lease.detached and not lease.terms["end_async"] and not polled:
            self._leases.close(lease.lease, LeaseResult(Outcome.LEFT, "an asynchronous job with poll 0, and kill_async is false"))
        else:
            self._dispatcher.send(lease)

    def _close_here(self, lease: Lease, result: LeaseResult) -> None:
        """Without an order: the end of its client is all there is to do."""
        self._local.end(lease)
        self._leases.close(lease.lease, result)

    def _is_polled(self, lease: Lease) -> bool:
        """Whether a task of this run waits for this detached job at this moment: then it is as much in flight as that task."""
        job = (lease.host, str(lease.terms.get("job", "")))
        return lease.detached and job[1] != "" and any(client.polls == job for client in self._clients)

    def _order_tried(self, lease: Lease) -> None:
        self._local.end(lease)
        self._tell_awaiting(lease.lease)
        self._write_down()
        self._begin_after()
        self._tell_progress()

    def _tell_progress(self) -> None:
        if not self._reporting:
            return
        if self._is_tried:
            # Before main hears that it is over, and ends: then the report is there for others, and main can tell what could not be written.
            self._recorder.when_written(self._tell_report)
            return
        for client in list(self._reporting):
            self._clients.reply(client, self._progress())

    @property
    def _is_tried(self) -> bool:
        return self._dispatcher.in_hand == 0 and not self._after.busy

    def _tell_report(self) -> None:
        if not self._is_tried:
            return
        reporting, self._reporting = self._reporting, []
        for client in reporting:
            self._clients.reply(client, self._report())

    def _progress(self) -> JsonObject:
        """Times in seconds."""
        unclosed = self._leases.unclosed
        grace = max((lease.terms["timeout"] for lease in unclosed), default=0.0)
        hosts = {lease.host for lease in unclosed} | {lease.host for lease, dummy in self._leases.closed}
        return {
            "in_hand": self._dispatcher.in_hand,
            "grace": grace,
            "left": max(grace - (self._loop.clock() - self._interrupted_at), 0.0),
            "hosts": len(hosts),
            # A host that is tried again later is not done.
            "hosts_done": len(hosts - {lease.host for lease in unclosed}),
            "hurried": self._hurried,
            "after_kill": self._after.progress(),
        }

    def _report(self) -> JsonObject:
        told = {"results": self._results(), "unguarded": self._unprotected(), "warnings": self._recorder.warnings, "after_kill": self._after.as_result()}
        return {"report": {"run": self._run, "cause": self._cause, "guardian": os.getpid(), **told}}

    def _unprotected(self) -> list[JsonObject]:
        return [{"host": host, "connection": connection, "reason": reason} for (host, connection), reason in sorted(self._unguarded.items())]

    def _results(self) -> list[JsonObject]:
        results = [_result(lease, result) for lease, result in self._leases.closed]
        for lease in self._leases.unclosed:
            reason = self._dispatcher.waiting.get(lease.lease)
            results.append(_result(lease, LeaseResult(Outcome.UNDER_WAY, "no answer yet") if reason is None else LeaseResult(Outcome.TRYING, reason)))
        return results


def _result(lease: Lease, result: LeaseResult) -> JsonObject:
    return {
        "host": lease.host, "task": lease.task, "lease": lease.lease, **result.to_message(),
        "retry_for": lease.terms["retry_for"], "payload": bool(lease.terms.get("payload", True)),
    }  # fmt: skip
