# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests of one process to the guardian, over one connection that its threads share."""

from __future__ import annotations

import os
import threading
import time
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    Channel,
    JsonObject,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    Answer,
    Request,
    read_answer,
    request_frame,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage

#: Seconds for an answer from the guardian. It takes some 0.1 ms, but longer on a busy machine.
ANSWER_SECONDS = 3.0

#: Seconds for which no process asks a guardian that was late. The guardian itself writes on the
#: run's page when it reads again. This is for a guardian that can't.
_UNRESPONSIVE_SECONDS = 30.0

#: Seconds for which one thread waits for its answer before another one may ask.
_TURN_SECONDS = 0.1


class RequestChannel:
    """Sender of requests. It connects when it has something to send."""

    def __init__(self, page: RunPage, find: t.Callable[[], str]) -> None:
        """Connect to no guardian yet.

        Args:
            page: the memory that all processes of the run share.
            find: returns the path of the guardian's socket. It may raise EndpointError and OSError.
        """
        self._page = page
        self._find = find
        self._owner = 0
        self._channel: Channel | None = None
        self._asked = 0
        #: Frames that came while another thread waited for its own, by the number of the request.
        #: Only the thread that sent the request knows the type of its answer.
        self._answers: dict[int, JsonObject] = {}
        #: Numbers of requests for which no thread waits. A late answer to one of them is dropped.
        self._given_up: set[int] = set()
        self._lock = threading.RLock()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, which may belong to the parent of this process."""
        return self._channel is not None

    @property
    def is_mine(self) -> bool:
        """Whether there is a connection that this process has made."""
        return self._channel is not None and self._owner == os.getpid()

    def renew_lock(self) -> None:
        """Replace the lock in a fork, because another thread of the parent may have held it."""
        self._lock = threading.RLock()

    def ask(
        self, request: Request, kind: type[Answer], deadline: float | None = None
    ) -> tuple[Answer, int]:
        """Send a request, and return its answer and its number.

        Raises:
            TimeoutError: there was no answer in time. The connection is still usable.
        """
        deadline = time.monotonic() + ANSWER_SECONDS if deadline is None else deadline
        with self._lock:
            channel = self.connected(deadline)
            self._asked += 1
            number = self._asked
            self._send(channel, request_frame(request, number), deadline)
            try:
                return read_answer(kind, self._next(number, deadline)), number
            except TimeoutError:
                self._given_up.add(number)
                self._note_unresponsive()
                raise

    def awaited(self, number: int, kind: type[Answer], deadline: float) -> Answer:
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
            max(deadline - time.monotonic(), 0.0) if not self.is_unresponsive else 0.0
        )
        try:
            channel.send(frame)
        except (BlockingIOError, TimeoutError) as error:
            self._note_unresponsive()
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
    def is_unresponsive(self) -> bool:
        """Whether the guardian was late and has not read since. Then no process waits for it."""
        return time.monotonic() < self._page.ask_again_at

    def _note_unresponsive(self) -> None:
        self._page.ask_again_at = time.monotonic() + _UNRESPONSIVE_SECONDS

    def connected(self, deadline: float) -> Channel:
        """Return the connection, and make it if there is none.

        Raises:
            TimeoutError: the guardian accepts no connection in time.
            EndpointError, WrongPeer, OSError: there is no guardian, and none can be started.
        """
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
                self._note_unresponsive()
                raise TimeoutError("it takes no more connections") from error
        return self._channel

    def send_unanswered(self, request: Request) -> None:
        """Send a request that has no answer, if this process has a connection."""
        with self._lock:
            if self._channel is None or self._owner != os.getpid():
                return
            try:
                self._send(self._channel, request_frame(request), time.monotonic() + ANSWER_SECONDS)
            except TimeoutError:
                pass  # The rest of it is sent before the next message.
            except OSError:
                # The guardian is gone, and so is all that it knew of this lease. There is no
                # process to send this to. The next lease starts another guardian.
                self.drop()

    def drop(self) -> None:
        """Close the connection. The next request makes another one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            self._answers.clear()
            self._given_up.clear()
