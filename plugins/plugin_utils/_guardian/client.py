# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client of a guardian in another process. It takes leases and gives them back."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import multiprocessing.util
import os
import socket
import threading
import time
import uuid

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._core import missing_callback
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    RecordOptions,
    resolve_records,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import guardian_process
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    Channel,
    FrameError,
    JsonObject,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    Answer,
    FirstWarning,
    Heard,
    LeaseAnswer,
    LeaseBroken,
    LeaseDetached,
    LeaseDone,
    LeaseRequest,
    Request,
    Tried,
    UnguardedRequest,
    read_answer,
    request_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import ReportedLease
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import Guard, note
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    Detached,
    Done,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import (
    note_without_guardian,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RunPipes
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify

#: Seconds for an answer from the guardian. It takes some 0.1 ms, but longer on a busy machine.
_ANSWER_SECONDS = 3.0

#: Seconds for which no process asks a guardian that was late. The guardian itself writes on the
#: run's page when it reads again. This is for a guardian that can't.
_LATE_SECONDS = 30.0

#: Seconds for which one thread waits for its answer before another one may ask.
_TURN_SECONDS = 0.1

display = Display()


class Interrupted(AnsibleError):
    """The gate is closed, because the run was interrupted. Nothing new may start on any host."""


@dataclasses.dataclass
class GuardianClient:
    """The guardian's client of one process.

    If the guardian dies, the client starts another one, and warns the user.
    """

    run: str
    main: ProcessId
    #: Whether the main process knows of the guardian, and so will print a recap.
    announced: bool
    pipes: RunPipes | None = None
    #: Options for journal and report. Without a callback, the process that starts a guardian reads
    #: them.
    records: RecordOptions | None = None
    page: RunPage = dataclasses.field(default_factory=RunPage)
    _owner: int = 0
    _channel: Channel | None = None
    _asked: int = 0
    #: Frames that came while another thread waited for its own, by the number of the request. Only
    #: the thread that sent the request knows the type of its answer.
    _answers: dict[int, JsonObject] = dataclasses.field(default_factory=dict)
    #: Numbers of requests for which no thread waits. A late answer to one of them is dropped.
    _given_up: set[int] = dataclasses.field(default_factory=set)
    _lock: threading.RLock = dataclasses.field(default_factory=threading.RLock)
    _warned: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def from_parent(cls) -> GuardianClient:
        """Return the client of a worker whose main process has started no guardian.

        The callback is not enabled then.
        """
        main = identify(os.getppid())
        # All workers of the run must find one id without messages between them, and no other run
        # may find it.
        machine = f"{uuid.getnode()}/{socket.gethostname()}/{os.stat('/').st_ctime_ns}"
        seed = f"{machine}/{main.pid}/{main.start}"
        return cls(run=hashlib.sha256(seed.encode()).hexdigest()[:16], main=main, announced=False)

    def take_lease(self, request: LeaseRequest) -> bool:
        """Take a lease before its command is sent.

        False if there is no guardian: the user was warned.

        Raises:
            Interrupted: the gate is closed.
        """
        answer, reason = self._granted(request)
        if answer is not None and not answer.granted and not answer.late:
            raise Interrupted(
                f"The run was interrupted ({answer.why}): nothing new is started on any host."
            )
        if answer is not None and answer.granted:
            return True
        if self.page.gate_closed:
            raise Interrupted("The run was interrupted: nothing new is started on any host.")
        note(Guard.NO_GUARDIAN)
        self._warn(
            f"treekill.remote: there is no guardian ({reason}). Protection is lost:"
            " what this task starts may outlive the run."
        )
        return False

    def _granted(self, request: LeaseRequest) -> tuple[LeaseAnswer | None, str]:
        """Return the guardian's answer to a request for a lease.

        It is None, with the reason, if there is none in time.
        """
        reason = "it was late before, and has not read since"
        if self.is_late:
            return None, reason
        deadline = time.monotonic() + _ANSWER_SECONDS
        for attempt in ("the guardian at hand", "a new one"):
            try:
                return self._ask(
                    dataclasses.replace(request, deadline=deadline), LeaseAnswer, deadline
                )[0], "too late"
            except TimeoutError:
                # The connection stays, because other leases belong to it. The request is given
                # back, in case it is granted at this moment.
                self._send_unanswered(LeaseDone(request.lease))
                return None, f"{attempt} did not answer for {_ANSWER_SECONDS:g} s"
            except (OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer) as error:
                self._drop()
                reason = f"{attempt}: {error}"
        return None, reason

    def unguarded(self, host: str, connection: str, reason: str) -> None:
        """Report that what runs on `host` by this connection is not protected.

        There is one warning for each host and run, and one line in the recap. The guardian
        remembers the warning of any worker. Without a guardian each worker warns.
        """
        note(Guard.IMPOSSIBLE)
        first = True
        if not self.is_late:
            try:
                first = self._ask(UnguardedRequest(host, connection, reason), FirstWarning)[0].first
            except TimeoutError:
                pass  # It is recorded when the guardian reads.
            except (OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer):
                self._drop()
        if first:
            self._show(
                f"treekill.remote: {host} is not protected: what runs there over the connection"
                f" {connection} would outlive the run, since {reason}."
                " If that is intended, set treekill_track: none for it."
            )

    def done(self, lease: str) -> None:
        """Give back the lease of a command that has returned. Does not wait for an answer."""
        self._send_to_any_guardian(LeaseDone(lease))

    def detach_lease(self, lease: str) -> None:
        """Report that the command has returned, and has left a job that keeps running."""
        self._send_to_any_guardian(LeaseDetached(lease))

    def broken(self, lease: str, lost: bool, wait: float = 0.0) -> ReportedLease | None:
        """Report that the command has not returned.

        Args:
            lease: the lease's id.
            lost: whether its connection was lost. Otherwise this process has given it up.
            wait: seconds to wait for the first try of its kill order; 0 not to wait.

        Returns:
            The result of the order, as the guardian reports it; None if it is not known yet.
        """
        if wait <= 0 or self._channel is None or self.is_late:
            self._send_unanswered(LeaseBroken(lease, lost, wait=False))
            return None
        try:
            # A guardian that does not even read is not waited for.
            dummy, number = self._ask(LeaseBroken(lease, lost, wait=True), Heard)
            return self._awaited(number, Tried, time.monotonic() + wait).tried
        except TimeoutError:
            return None
        except (OSError, FrameError):
            self._drop()
            return None

    def done_at_exit(self, lease: str) -> None:
        """Keep the lease as long as this process runs.

        The process ends after it has passed on the task's result.
        """
        multiprocessing.util.Finalize(None, self.done, (lease,), exitpriority=0)

    def _send_to_any_guardian(self, request: LeaseDone | LeaseDetached) -> None:
        """Send to the guardian, or to the next one if it is gone: the journal needs the record.

        If there is no other guardian either, this process writes the record itself.
        """
        mine = self._channel is not None and self._owner == os.getpid()
        self._send_unanswered(request)
        if not mine or self._channel is not None or self.page.gate_closed:
            return
        if not self.is_late:
            with contextlib.suppress(
                OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer
            ):
                self._connected(time.monotonic() + _ANSWER_SECONDS)
                self._send_unanswered(request)
        if self._channel is None:
            record = (
                Done(request.lease) if isinstance(request, LeaseDone) else Detached(request.lease)
            )
            note_without_guardian(self.records or resolve_records(), self.run, record)

    def _send_unanswered(self, request: Request) -> None:
        with self._lock:
            if self._channel is None or self._owner != os.getpid():
                return
            try:
                self._send(
                    self._channel, request_frame(request), time.monotonic() + _ANSWER_SECONDS
                )
            except TimeoutError:
                pass  # The rest of it is sent before the next message.
            except OSError:
                # The guardian is gone, and so is all that it knew of this lease. There is no
                # process to send this to. The next lease starts another guardian.
                self._drop()

    def _ask(
        self, request: Request, kind: type[Answer], deadline: float | None = None
    ) -> tuple[Answer, int]:
        """Send a request, and return its answer and its number.

        Raises:
            TimeoutError: there was no answer in time. The connection is still usable.
        """
        deadline = time.monotonic() + _ANSWER_SECONDS if deadline is None else deadline
        with self._lock:
            channel = self._connected(deadline)
            self._asked += 1
            number = self._asked
            self._send(channel, request_frame(request, number), deadline)
            try:
                return read_answer(kind, self._next(number, deadline)), number
            except TimeoutError:
                self._given_up.add(number)
                self._note_late()
                raise

    def _awaited(self, number: int, kind: type[Answer], deadline: float) -> Answer:
        """Return a later answer to the request of that number. Other threads can ask meanwhile."""
        while True:
            with self._lock:
                try:
                    return read_answer(
                        kind, self._next(number, min(deadline, time.monotonic() + _TURN_SECONDS))
                    )
                except TimeoutError:
                    if time.monotonic() >= deadline:
                        self._given_up.add(number)
                        raise

    def _send(self, channel: Channel, frame: JsonObject, deadline: float) -> None:
        channel.socket.settimeout(
            max(deadline - time.monotonic(), 0.0) if not self.is_late else 0.0
        )
        try:
            channel.send(frame)
        except (BlockingIOError, TimeoutError) as error:
            self._note_late()
            raise TimeoutError("the guardian does not read") from error

    def _next(self, number: int, deadline: float) -> JsonObject:
        """Return the frame of the next answer to the request of that number.

        Answers to other requests are kept for the threads that wait for them.
        """
        if self._channel is None:
            raise ConnectionResetError("the connection to the guardian was lost")
        channel = self._channel
        while number not in self._answers:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the guardian does not answer")
            channel.socket.settimeout(left)
            answer = channel.receive()
            answered = answer.get("number", 0)
            if answered not in self._given_up:
                self._answers[answered] = answer
        return self._answers.pop(number)

    @property
    def is_late(self) -> bool:
        """Whether the guardian was late and has not read since. Then no process waits for it."""
        return time.monotonic() < self.page.ask_again_at

    def _note_late(self) -> None:
        self.page.ask_again_at = time.monotonic() + _LATE_SECONDS

    def _connected(self, deadline: float) -> Channel:
        if self._owner != os.getpid():
            # This process was forked. The channel belongs to its parent.
            self._channel, self._owner = None, os.getpid()
            self._answers.clear()
            self._given_up.clear()
        if self._channel is None:
            path = self._find()
            try:
                self._channel = Channel(
                    endpoint.connect(path, max(deadline - time.monotonic(), 0.01))
                )
            except (BlockingIOError, TimeoutError) as error:
                self._note_late()
                raise TimeoutError("it takes no more connections") from error
        return self._channel

    def _find(self) -> str:
        """Return the path of the guardian's socket, and start a guardian if there is none."""
        # Without a callback the variable is of another run, whose task has started this one.
        path = os.environ.get(endpoint.ENVIRONMENT) if self.announced else None
        if path is not None and endpoint.answers(path):
            return path
        # After the start: if no guardian can be started, the user gets that warning instead.
        found = guardian_process.ensure(
            self.run, self.main, self.pipes, self.records or resolve_records(), self.page
        )
        if path is not None:
            error = endpoint.crash_reason(path)
            self._warn(
                "treekill.remote: the guardian of this run"
                f" {f'has ended {error}' if error else 'was gone'}. A new one was started;"
                " tasks that were in flight are not protected."
            )
        elif not self.announced:
            self._warn(
                f"treekill.remote: this run has no recap. {missing_callback.explanation()}."
                " Only tasks that use this collection's own plugins are guarded."
            )
        return found

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            self._answers.clear()
            self._given_up.clear()

    def _warn(self, text: str) -> None:
        """Warn once for each kind of warning, which its first words identify.

        The reason may be different each time.
        """
        kind = text.partition("(")[0]
        if kind in self._warned:
            return
        self._warned.add(kind)
        if not (self.announced and self.page.warned):
            self.page.note_warning()
            self._show(text)

    def _show(self, text: str) -> None:
        if self.announced:
            # The method `warning` would not do. From core 2.19 on its text is a part of the task's
            # result, which must be as it is without a guardian.
            display.display(f"[WARNING]: {text}", color=C.COLOR_WARN, stderr=True)
        else:
            display.warning(text)


class _Announced:
    """The client of this process. The main process sets it, and its forks inherit it."""

    client: GuardianClient | None = None


def _in_child() -> None:
    """Replace the lock in each fork, because another thread of the parent may have held it."""
    if _Announced.client is not None:
        _Announced.client._lock = threading.RLock()


os.register_at_fork(after_in_child=_in_child)


def announce(client: GuardianClient) -> None:
    """Make `client` the client of this process and of its forks."""
    _Announced.client = client


def withdraw(client: GuardianClient) -> None:
    """Remove the client: its run is over, and this process continues."""
    if _Announced.client is client:
        _Announced.client = None


def is_announced() -> bool:
    """Whether the main process of this run has a guardian, and so a callback."""
    return _Announced.client is not None and _Announced.client.announced


def current() -> GuardianClient:
    """Return the client of this run: the announced one, or a new one.

    A worker of a run without a callback makes a new one. Its first lease starts a guardian.
    """
    if _Announced.client is None:
        _Announced.client = GuardianClient.from_parent()
    return _Announced.client
