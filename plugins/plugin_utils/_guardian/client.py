# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process's client of its guardian: leases are taken and given back here."""

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
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import process
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

#: Seconds for an answer from the guardian, which takes some 0.1 ms; it may have to wait for a busy
#: machine.
_ANSWER_SECONDS = 3.0

#: How long a guardian that was late is not asked again. It says itself, on the run's page, when it
#: reads again: this is for one that can't.
_LATE_SECONDS = 30.0

#: Seconds for which one thread waits for its answer before another one may ask.
_TURN_SECONDS = 0.1

display = Display()


class Interrupted(AnsibleError):
    """The gate is closed: the run was interrupted, and nothing new may start on any host."""


@dataclasses.dataclass
class GuardianClient:
    """One for each process. Survives a guardian that dies: another one is started, and the user is warned."""

    run: str
    main: ProcessId
    #: Whether the main process knows of the guardian, and so will print a recap.
    announced: bool
    pipes: RunPipes | None = None
    #: What the guardian writes down. Without a callback, whoever starts a guardian looks it up.
    records: RecordOptions | None = None
    page: RunPage = dataclasses.field(default_factory=RunPage)
    _owner: int = 0
    _channel: Channel | None = None
    _asked: int = 0
    #: Frames of answers that came while another thread waited for its own, by the number of the
    #: request. That thread knows what its answer has to be.
    _answers: dict[int, JsonObject] = dataclasses.field(default_factory=dict)
    #: Numbers of requests that nothing waits for any more: an answer that comes late is dropped.
    _given_up: set[int] = dataclasses.field(default_factory=set)
    _lock: threading.RLock = dataclasses.field(default_factory=threading.RLock)
    _warned: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def from_parent(cls) -> GuardianClient:
        """For a worker of a run whose main process has not started a guardian: the callback is not enabled."""
        main = identify(os.getppid())
        # All workers of the run have to come to the same id without having spoken to each other; no other run may.
        seed = f"{uuid.getnode()}/{socket.gethostname()}/{os.stat('/').st_ctime_ns}/{main.pid}/{main.start}"
        return cls(run=hashlib.sha256(seed.encode()).hexdigest()[:16], main=main, announced=False)

    def take_lease(self, request: LeaseRequest) -> bool:
        """Take a lease before its command goes out. False when no guardian can be had; the user was warned.

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
            f"treekill.remote: no guardian can be had ({reason}). Protection is lost: what this task starts may outlive the run."
        )
        return False

    def _granted(self, request: LeaseRequest) -> tuple[LeaseAnswer | None, str]:
        """Return the guardian's answer to a request for a lease; None, with the reason, where there is none in time."""
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
                # The connection stays: other leases hang on it. What this one has asked for is given back, in case that it is granted at this moment.
                self._send_unanswered(LeaseDone(request.lease))
                return None, f"{attempt} did not answer for {_ANSWER_SECONDS:g} s"
            except (OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer) as error:
                self._drop()
                reason = f"{attempt}: {error}"
        return None, reason

    def unguarded(self, host: str, connection: str, reason: str) -> None:
        """Say that what runs on `host` by this connection is not protected: a warning a host and run, and a line in the recap.

        The guardian knows whether it was said before, by whichever worker; where none can be had, it is said each time.
        """
        note(Guard.IMPOSSIBLE)
        first = True
        if not self.is_late:
            try:
                first = self._ask(UnguardedRequest(host, connection, reason), FirstWarning)[0].first
            except TimeoutError:
                pass  # it is told later, when it reads
            except (OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer):
                self._drop()
        if first:
            self._show(
                f"treekill.remote: {host} is not protected: what runs there over the connection {connection} would outlive the run, since {reason}."
                " If that is as it should be, set treekill_track: none for it."
            )

    def done(self, lease: str) -> None:
        """The command has returned. Does not wait for an answer."""
        self._send_to_any_guardian(LeaseDone(lease))

    def detach_lease(self, lease: str) -> None:
        """The command has returned, having started a job that goes on by itself."""
        self._send_to_any_guardian(LeaseDetached(lease))

    def broken(self, lease: str, lost: bool, wait: float = 0.0) -> ReportedLease | None:
        """The command has not returned.

        Args:
            lease: the lease's id.
            lost: whether its connection was lost, and not given up from here.
            wait: seconds to wait until its kill order has been tried; 0 not to wait.

        Returns:
            What came of the order, as the guardian reports it; None if that is not known yet.
        """
        if wait <= 0 or self._channel is None or self.is_late:
            self._send_unanswered(LeaseBroken(lease, lost, wait=False))
            return None
        try:
            # One that does not even read is not waited for.
            dummy, number = self._ask(LeaseBroken(lease, lost, wait=True), Heard)
            return self._awaited(number, Tried, time.monotonic() + wait).tried
        except TimeoutError:
            return None
        except (OSError, FrameError):
            self._drop()
            return None

    def done_at_exit(self, lease: str) -> None:
        """The lease lasts until this process has ended in good order, which is after it has handed on the task's result."""
        multiprocessing.util.Finalize(None, self.done, (lease,), exitpriority=0)

    def _send_to_any_guardian(self, request: LeaseDone | LeaseDetached) -> None:
        """Tell the guardian, or where it is gone the next one: the journal is to know it. Where there is none either, it is written down here."""
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
                pass  # what is left of it goes before the next message
            except OSError:
                # The guardian is gone, and with it all that it knew of this lease: there is nobody to tell. The next lease starts another.
                self._drop()

    def _ask(
        self, request: Request, kind: type[Answer], deadline: float | None = None
    ) -> tuple[Answer, int]:
        """Send a request, and return its answer and its number. Raises TimeoutError, after which the connection is as good as before."""
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
        """Return a later answer to the request of that number. Other threads of this process ask meanwhile."""
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
        """Return the frame of the next answer to the request of that number; that to another request is kept for the thread that waits for it."""
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
        """Whether the guardian was late, and has not read since: it is not waited for."""
        return time.monotonic() < self.page.ask_again_at

    def _note_late(self) -> None:
        self.page.ask_again_at = time.monotonic() + _LATE_SECONDS

    def _connected(self, deadline: float) -> Channel:
        if self._owner != os.getpid():
            # Forked: the channel belongs to the process that made it.
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
        """The guardian's socket: the one that the run announced, or that of a guardian which is started now."""
        # Without a callback what stands there is of another run: one whose task has started this one.
        path = os.environ.get(endpoint.ENVIRONMENT) if self.announced else None
        if path is not None and endpoint.answers(path):
            return path
        # Said when it is so: where none can be started, that is what the user has to know.
        found = process.ensure(
            self.run, self.main, self.pipes, self.records or resolve_records(), self.page
        )
        if path is not None:
            word = endpoint.crash_reason(path)
            self._warn(
                f"treekill.remote: the guardian of this run {f'has ended {word}' if word else 'was gone'}. A new one was started; tasks that were in flight are"
                " not protected."
            )
        elif not self.announced:
            self._warn(
                f"treekill.remote: this run has no recap. {missing_callback.explanation()}. Of tasks that go through this collection's own plugins,"
                " what an interruption leaves is killed. No other task is guarded."
            )
        return found

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            self._answers.clear()
            self._given_up.clear()

    def _warn(self, text: str) -> None:
        """Once for each kind of news, which is known by its beginning: the reason may be another one each time."""
        kind = text.partition("(")[0]
        if kind in self._warned:
            return
        self._warned.add(kind)
        if not (self.announced and self.page.warned):
            self.page.note_warning()
            self._show(text)

    def _show(self, text: str) -> None:
        if self.announced:
            # Not `warning`: from core 2.19 on that is a part of the task's result, which is to be the same as without a guardian.
            display.display(f"[WARNING]: {text}", color=C.COLOR_WARN, stderr=True)
        else:
            display.warning(text)


class _Announced:
    """The client of this process: set in the main process, inherited by its forks."""

    client: GuardianClient | None = None


def _in_child() -> None:
    """In each fork: another thread of the parent may have held the lock."""
    if _Announced.client is not None:
        _Announced.client._lock = threading.RLock()


os.register_at_fork(after_in_child=_in_child)


def announce(client: GuardianClient) -> None:
    """Make `client` the one that this process and its forks use."""
    _Announced.client = client


def withdraw(client: GuardianClient) -> None:
    """The run of `client` is over, and this process goes on."""
    if _Announced.client is client:
        _Announced.client = None


def is_announced() -> bool:
    """Whether the main process of this run has a guardian: its callback is there."""
    return _Announced.client is not None and _Announced.client.announced


def current() -> GuardianClient:
    """The client of this run: the announced one, or in a worker of a run without callback one to a guardian that its first lease starts."""
    if _Announced.client is None:
        _Announced.client = GuardianClient.from_parent()
    return _Announced.client
