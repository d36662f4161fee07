# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guardian of a run, as the main process of the run sees it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import guardian_process
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    Channel,
    FrameError,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    AfterKillPlan,
    AfterKillPlanNotice,
    AlwaysAnswer,
    AlwaysRequest,
    Launcher,
    LeaveRequest,
    MainProcessNotice,
    read_answer,
    request_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run import launcher

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import AfterPlan
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
        GuardianClient,
    )

#: The longest wait of the signal handler for the guardian to freeze the clients, which takes some
#: 5 ms. After the exception of the handler, core kills the workers.
_FREEZE_SECONDS = 2.0

#: The longest wait for an answer when the main process asks for the report, or leaves the guardian.
_REPLY_SECONDS = 5.0

#: The longest wait at the end of an uninterrupted run if the guardian has already left a worker
#: without an answer. The guardian itself may wait for a disk: see DISK_SECONDS.
_UNRESPONSIVE_REPLY_SECONDS = 2.0

#: Seconds between two looks whether the guardian is gone, while the main process waits for trees.
_LOOK_SECONDS = 0.5

display = Display()


class OwnGuardian:
    """The connection of the main process to its guardian.

    It is lost when the guardian dies or its socket is replaced. Another guardian is then started.
    """

    def __init__(self, client: GuardianClient, on_loss: t.Callable[[bool], None]) -> None:
        """Connect to nothing yet.

        Args:
            client: the client of the run.
            on_loss: called when the guardian was lost, with whether it was killed.
        """
        self._guardian_client = client
        self._on_loss = on_loss
        self._after: AfterPlan | None = None
        self._after_sent: AfterKillPlan | None = None
        self._connection: socket.socket | None = None
        #: Device and inode of the guardian's socket, to notice that it was replaced.
        self._socket_identity: tuple[int, int] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether there is no guardian, or it has hung up."""
        return self._connection is None or _has_hung_up(self._connection)

    def patience(self, interrupted: bool = False) -> float:
        """Return the longest wait for an answer at the end of the run, in seconds."""
        return (
            _UNRESPONSIVE_REPLY_SECONDS
            if self._guardian_client.is_unresponsive and not interrupted
            else _REPLY_SECONDS
        )

    def meet(self) -> None:
        """Find or start the guardian, and connect to it.

        Raises:
            EndpointError, OSError, WrongPeer: no guardian can be started.
        """
        path = guardian_process.ensure(
            self._guardian_client.run,
            self._guardian_client.main,
            self._guardian_client.pipes,
            self._guardian_client.records,
            self._guardian_client.page,
        )
        os.environ[endpoint.ENVIRONMENT] = path
        connection = endpoint.connect(path, timeout=5.0)
        before, self._connection, self._socket_identity = (
            self._connection,
            connection,
            endpoint.identity(path),
        )
        self._after_sent = self._after_message()
        Channel(connection).send(
            request_frame(MainProcessNotice(self._launcher(), self._after_sent))
        )
        if before is not None:
            with contextlib.suppress(OSError):
                # The old guardian may still be running, although its socket is gone. Its after_kill
                # is cancelled, so that it does not run twice.
                Channel(before).send(request_frame(AfterKillPlanNotice(None)))
            before.close()

    def set_after_kill(self, plan: AfterPlan | None) -> None:
        """Set what the guardian runs after the kill; None, as at the beginning, for nothing."""
        self._after = plan
        message = self._after_message()
        # Sent once: the socket of a stopped guardian holds a limited number of messages.
        if self._connection is not None and message != self._after_sent:
            self._after_sent = message
            with contextlib.suppress(OSError):
                # The guardian is gone: the next one gets the plan.
                Channel(self._connection).send(request_frame(AfterKillPlanNotice(message)))

    def _after_message(self) -> AfterKillPlan | None:
        return self._after.as_message() if self._after is not None else None

    def _launcher(self) -> Launcher | None:
        """Return the program whose end ends the run; None if there is none."""
        program = launcher.find(self._guardian_client.main.pid)
        return (
            None
            if program is None
            else Launcher(program.name, program.process.pid, program.process.start)
        )

    def replace_if_lost(self) -> None:
        """Start another guardian, and warn, if the guardian has died or its socket is gone."""
        if self._connection is None:
            return
        killed = _has_hung_up(self._connection)
        if not self._is_lost(killed):
            return
        word = endpoint.crash_reason(os.environ[endpoint.ENVIRONMENT])
        try:
            self.meet()
        except (OSError, endpoint.EndpointError, endpoint.WrongPeer) as error:
            self._connection = None
            display.warning(
                "treekill.remote: the guardian of this run is gone, and no other can be started:"
                f" {error}. Protection is lost."
            )
        else:
            end = f"has ended {word}" if word else "was killed"
            display.warning(
                f"treekill.remote: the guardian of this run {end}; another one has taken over."
                " Tasks in flight at that moment are not protected."
                if killed
                else "treekill.remote: the guardian of this run can't be reached: its socket was"
                " removed. Another one has taken over. Tasks in flight at that moment are ended"
                " with the run, but its recap does not list them."
            )

    def notice_loss(self) -> None:
        """Report the loss of the guardian, if it was lost."""
        if self._connection is not None:
            self._is_lost(_has_hung_up(self._connection))

    def _is_lost(self, killed: bool) -> bool:
        """Whether the guardian was lost: `killed`, or its socket was replaced.

        Another guardian does not know the leases of the tasks in flight. The loss is recorded.
        """
        if (
            not killed
            and endpoint.identity(os.environ[endpoint.ENVIRONMENT]) == self._socket_identity
        ):
            return False
        self._on_loss(killed)
        return True

    def await_freeze(self) -> bool:
        """Wait for the guardian to freeze the clients after a signal. Return whether it has."""
        if self._connection is None:
            return False
        readable = select.poll()
        readable.register(self._connection, select.POLLIN)
        return [event for dummy, event in readable.poll(_FREEZE_SECONDS * 1000)] == [select.POLLIN]

    def forget_freeze(self) -> None:
        """Read what `await_freeze` would have waited for, so that it waits for the next freeze."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                # There is nothing to read, or the guardian is gone.
                self._connection.recv(64, socket.MSG_DONTWAIT)

    def await_trees(self) -> AlwaysAnswer | None:
        """Wait until each tree in flight is gone or its kill order was tried.

        Returns:
            The guardian's answer; None if there is no guardian any longer.
        """
        path = os.environ[endpoint.ENVIRONMENT]
        try:
            channel = Channel(endpoint.connect(path, timeout=self.patience(interrupted=True)))
            channel.send(request_frame(AlwaysRequest(), 1))
            channel.socket.settimeout(_LOOK_SECONDS)
            while not self.is_gone:
                try:
                    return read_answer(AlwaysAnswer, channel.receive())
                except TimeoutError:
                    continue
        except (OSError, FrameError, endpoint.WrongPeer):
            pass
        return None

    def close(self) -> None:
        """Close the connection to the guardian."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def leave(self) -> None:
        """Leave the guardian to itself: it may still try unreachable hosts.

        The next run gets another one.
        """
        self.close()
        path = os.environ.pop(endpoint.ENVIRONMENT, None)
        if path is None:
            return
        try:
            channel = Channel(endpoint.connect(path, timeout=self.patience()))
            channel.send(request_frame(LeaveRequest()))
            channel.receive()
            channel.close()
        except (OSError, FrameError, endpoint.WrongPeer):
            endpoint.remove(path)  # the guardian is gone already


def _has_hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR) for dummy, event in poll.poll(0))
