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
import time
import typing as t
import uuid
import weakref

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._core import missing_callback
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    RecordOptions,
    resolve_records,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import (
    guardian_process,
    request_channel,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import FrameError
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    LeaseAnswer,
    LeaseBrokenNotice,
    LeaseBrokenReceipt,
    LeaseBrokenResult,
    LeaseDetachedNotice,
    LeaseDoneNotice,
    LeaseRequest,
    NewsAnswer,
    NewsRequest,
    UnguardedAnswer,
    UnguardedRequest,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import ReportedLease
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import Guard, note
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    DetachedRecord,
    DoneRecord,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import (
    note_without_guardian,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RunPipes
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify

display = Display()


class Interrupted(AnsibleError):
    """The gate is closed, because the run was interrupted. Nothing new may start on any host."""


class TaskInterrupted(BaseException):
    """The run was interrupted, and goes on to its `always` sections: this task has to end.

    As with the exception of core's `timeout`, no action catches it. The tree of the task is gone,
    or its kill order was tried.
    """


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
    _warned: set[str] = dataclasses.field(default_factory=set)
    _requests: request_channel.RequestChannel = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Connect to no guardian yet."""
        # A weak reference: the connection is closed as soon as the client is dropped.
        me = weakref.proxy(self)

        def find() -> str:
            return t.cast(str, me._find())

        self._requests = request_channel.RequestChannel(self.page, find)

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
        reason = "it was slow earlier and has read nothing since"
        if self.is_unresponsive:
            return None, reason
        deadline = time.monotonic() + request_channel.ANSWER_SECONDS
        for attempt in ("the current guardian", "a new one"):
            try:
                return self._requests.ask(
                    dataclasses.replace(request, deadline=deadline, always=self.page.for_always),
                    LeaseAnswer,
                    deadline,
                )[0], "too late"
            except TimeoutError:
                # The connection stays, because other leases belong to it. The request is given
                # back, in case it is granted at this moment.
                self._requests.send_unanswered(LeaseDoneNotice(request.lease))
                return None, f"{attempt} did not answer for {request_channel.ANSWER_SECONDS:g} s"
            except (OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer) as error:
                self._requests.drop()
                reason = f"{attempt}: {error}"
        return None, reason

    def unguarded(self, host: str, connection: str, reason: str) -> None:
        """Report that what runs on `host` by this connection is not protected.

        There is one warning for each host and run, and one line in the recap. The guardian
        remembers the warning of any worker. Without a guardian each worker warns.
        """
        note(Guard.IMPOSSIBLE)
        first = True
        if not self.is_unresponsive:
            try:
                first = self._requests.ask(
                    UnguardedRequest(host, connection, reason), UnguardedAnswer
                )[0].first
            except TimeoutError:
                pass  # It is recorded when the guardian reads.
            except (OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer):
                self._requests.drop()
        if first:
            self._show(
                f"treekill.remote: {host} is not protected: what runs there over the connection"
                f" {connection} would outlive the run, since {reason}."
                " If that is intended, set treekill_track: none for it."
            )

    def show_news(self) -> None:
        """Print what the guardian has for the user, if there is anything."""
        if not self.page.has_news or self.is_unresponsive:
            return
        try:
            news = self._requests.ask(NewsRequest(), NewsAnswer)[0]
        except TimeoutError:
            return
        except (OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer):
            self._requests.drop()
            return
        for warning in news.warnings:
            self._show(warning)

    def done(self, lease: str) -> None:
        """Give back the lease of a command that has returned. Does not wait for an answer."""
        self._send_to_any_guardian(LeaseDoneNotice(lease))

    def detach_lease(self, lease: str) -> None:
        """Report that the command has returned, and has left a job that keeps running."""
        self._send_to_any_guardian(LeaseDetachedNotice(lease))

    def broken(self, lease: str, lost: bool, wait: float = 0.0) -> ReportedLease | None:
        """Report that the command has not returned.

        Args:
            lease: the lease's id.
            lost: whether its connection was lost. Otherwise this process has given it up.
            wait: seconds to wait for the first try of its kill order; 0 not to wait.

        Returns:
            The result of the order, as the guardian reports it; None if it is not known yet.
        """
        if wait <= 0 or not self._requests.is_open or self.is_unresponsive:
            self._requests.send_unanswered(LeaseBrokenNotice(lease, lost, wait=False))
            return None
        try:
            # A guardian that does not even read is not waited for.
            dummy, number = self._requests.ask(
                LeaseBrokenNotice(lease, lost, wait=True), LeaseBrokenReceipt
            )
            return self._requests.awaited(number, LeaseBrokenResult, time.monotonic() + wait).tried
        except TimeoutError:
            return None
        except (OSError, FrameError):
            self._requests.drop()
            return None

    def done_at_exit(self, lease: str) -> None:
        """Keep the lease as long as this process runs.

        The process ends after it has passed on the task's result.
        """
        multiprocessing.util.Finalize(None, self.done, (lease,), exitpriority=0)

    def _send_to_any_guardian(self, request: LeaseDoneNotice | LeaseDetachedNotice) -> None:
        """Send to the guardian, or to the next one if it is gone: the journal needs the record.

        If there is no other guardian either, this process writes the record itself.
        """
        mine = self._requests.is_mine
        self._requests.send_unanswered(request)
        if not mine or self._requests.is_open or self.page.gate_closed:
            return
        if not self.is_unresponsive:
            with contextlib.suppress(
                OSError, FrameError, endpoint.EndpointError, endpoint.WrongPeer
            ):
                self._requests.connected(time.monotonic() + request_channel.ANSWER_SECONDS)
                self._requests.send_unanswered(request)
        if not self._requests.is_open:
            record = (
                DoneRecord(request.lease)
                if isinstance(request, LeaseDoneNotice)
                else DetachedRecord(request.lease)
            )
            note_without_guardian(self.records or resolve_records(), self.run, record)

    @property
    def is_unresponsive(self) -> bool:
        """Whether the guardian was late and has not read since. Then no process waits for it."""
        return self._requests.is_unresponsive

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
                f" {f'has ended {error}' if error else 'had exited'}. A new one was started;"
                " tasks that were in flight are not protected."
            )
        elif not self.announced:
            self._warn(
                f"treekill.remote: this run has no recap. {missing_callback.explanation()}."
                " Only tasks that use this collection's own plugins are guarded."
            )
        return found

    def renew_lock(self) -> None:
        """Replace the lock in a fork, because another thread of the parent may have held it."""
        self._requests.renew_lock()

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
    if _Announced.client is not None:
        _Announced.client.renew_lock()


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
