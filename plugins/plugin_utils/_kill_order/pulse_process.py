# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process that keeps a pulse on one host, for the tasks and jobs of one user there.

It holds the input of the pulse open, and makes the connection again when it breaks. It is a child
of the guardian, and outlives it: a run whose guardian is gone may be running as before. It ends
with the main process. The host sees that end, and ends what the run has not released.
"""

from __future__ import annotations

import os
import secrets
import select
import threading
import time
import typing as t

from ansible.errors import AnsibleAuthenticationFailure
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.held_client import (
    HeldClient,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.ssh_clients import (
    SshClients,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.pulse_command import (
    PulseOutput,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    LocalTable,
    is_alive,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
        KillOrder,
    )

#: Seconds between two looks whether the main process is alive, where there is no pidfd, and after
#: its end whether the guardian is stopped.
_LOOK_SECONDS = 1.0

#: Looks after which a stopped guardian is not waited for any longer. A debugger may hold it for a
#: moment.
_MOST_STOPPED_LOOKS = 10

#: Seconds before the connection is made again, the first time and at most. A host ends the jobs
#: soon after its last pulse was lost, so the pauses stay short.
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.1, 2.0

#: Tries to make the first connection.
_FIRST_TRIES = 3

#: Seconds for the last words of this process to reach the host.
_LAST_SECONDS = 2.0

#: Seconds that a host waits for another pulse: these, and some times what a connection has taken.
_GRACE_SECONDS, _GRACE_FACTOR = 2.0, 5.0

#: A pulse may share a connection that was there, and then shows nothing of how long a login takes.
#: So the host also waits for so many connections that take as long as the plugin's limit.
_GRACE_CONNECTIONS = 2


class PulseProcess:
    """A process that keeps one pulse. `run` is its main function."""

    def __init__(
        self, order: KillOrder, main: ProcessId, page: RunPage, orders: int, answers: int
    ) -> None:
        """Touch nothing yet.

        Args:
            order: the way to the host.
            main: the main process of the run.
            page: of the run.
            orders: what the guardian sends, see `_obey`.
            answers: where to answer it.
        """
        self._order = order
        self._main = main
        self._page = page
        self._orders = orders
        self._answers = answers
        self._released: list[str] = []
        self._unconfirmed: set[str] = set()
        self._confirmed = threading.Event()
        self._output = PulseOutput("")
        self._was_up = self._is_up = self._leaves = False
        self._reason = ""

    def run(self) -> t.NoReturn:
        """Keep the pulse as long as it is needed."""
        self._client = HeldClient(self._hear)
        threading.Thread(target=self._watch, daemon=True).start()
        tries, pause = 0, _FIRST_PAUSE_SECONDS
        while True:
            error = self._connect()
            if self._leaves:
                self._end()
            tries += 1
            if self._is_up:
                pause = _FIRST_PAUSE_SECONDS
            self._is_up = False
            if isinstance(error, AnsibleAuthenticationFailure) or (
                not self._was_up and (self._reason or tries >= _FIRST_TRIES)
            ):
                self._answer(f"failed {self._reason or error or 'it ended at once'}")
                self._end()
            time.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    def _connect(self) -> Exception | None:
        """Run the pulse until it ends. Return the error that has ended it."""
        nonce = secrets.token_hex(8)
        self._output = PulseOutput(nonce)
        try:
            self._order.run_pulse(nonce, self._client)
        # Whatever a plugin raises, the connection is made again, or the user reads it.
        except Exception as error:  # noqa: BLE001
            return error
        finally:
            self._client.hold(None)
        return None

    def _hear(self, chunk: bytes) -> bool:
        """Take what the host has sent. Return whether the plugin still waits for some of it."""
        for word, rest in self._output.lines(chunk):
            if word == "here":
                took = time.monotonic() - self._client.began
                grace = _GRACE_CONNECTIONS * self._order.connection.seconds_to_connect
                grace += _GRACE_SECONDS + _GRACE_FACTOR * took
                self._client.send(f"grace {grace:.0f}")
            elif word == "up":
                self._was_up = self._is_up = True
                for lease in self._released:
                    self._client.send(f"release {lease}")
                self._answer("up")
            elif word == "attached":
                self._answer(f"attached {rest}")
            elif word == "released":
                self._unconfirmed.discard(rest)
                self._answer(f"released {rest}")
                if not self._unconfirmed:
                    self._confirmed.set()
            elif word == "failed":
                self._reason = rest
        return not self._is_up

    def _answer(self, line: str) -> None:
        try:
            os.write(self._answers, f"{' '.join(line.split())}\n".encode())
        except OSError:
            pass  # the guardian is gone

    # The other thread.

    def _watch(self) -> None:
        """Obey the guardian, and after its end watch the main process."""
        rest = b""
        try:
            main = os.pidfd_open(self._main.pid)
        except (AttributeError, OSError):
            main = None
        while self._is_heard(main) and (chunk := os.read(self._orders, 4096)):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._obey(line.decode())
        self._await_end_of_main(main)
        if self._page.run_ended:
            self._release("*")
            self._confirmed.wait(_LAST_SECONDS)
        self._end()

    def _obey(self, line: str) -> None:
        word, dummy, lease = line.partition(" ")
        if word == "release":
            self._release(lease)
        else:
            if self._unconfirmed:
                self._confirmed.wait(_LAST_SECONDS)
            if word == "leave" and self._is_up:
                self._leave()
            self._end()

    def _release(self, lease: str) -> None:
        self._confirmed.clear()
        self._unconfirmed.add(lease)
        self._released.append(lease)
        self._client.send(f"release {lease}")

    def _leave(self) -> None:
        """Let the pulse end by itself. Its client then ends too, and the first thread returns."""
        self._leaves = True
        self._client.send("over")
        time.sleep(_LAST_SECONDS)

    def _is_heard(self, main: int | None) -> bool:
        """Wait for the guardian to say something, or to end. Return whether it has.

        It has not if the main process is gone, and the guardian is stopped: it may be so for ever.

        `main`: the pidfd of the main process, if there is one.
        """
        poll, looks = select.poll(), 0
        poll.register(self._orders, select.POLLIN)
        if main is not None:
            poll.register(main, select.POLLIN)
        while looks < _MOST_STOPPED_LOOKS:
            events = poll.poll(_LOOK_SECONDS * 1000 if main is None else None)
            if any(descriptor == self._orders for descriptor, dummy in events):
                return True
            if events and main is not None:
                poll.unregister(main)
                main = None
            if main is None and not is_alive(self._main):
                guardian = LocalTable().process(os.getppid())
                looks = looks + 1 if guardian is not None and guardian.stopped else 0
        return False

    def _await_end_of_main(self, main: int | None) -> None:
        if main is None:
            while is_alive(self._main):
                time.sleep(_LOOK_SECONDS)
        elif is_alive(self._main):
            select.select([main], [], [])

    def _end(self) -> t.NoReturn:
        """End this process and its client, and with them the pulse."""
        # Core removes a password when its client has ended. This process does not wait for that.
        # The other thread makes no new connection meanwhile.
        self._leaves = True
        SshClients.below(os.getpid()).end_with_leader()
        os._exit(0)
