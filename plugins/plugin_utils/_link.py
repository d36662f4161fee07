# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process's link to its guardian: leases are taken and given back here.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing.util
import os
import socket
import typing as t
import uuid

from ansible.errors import AnsibleError
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils import _guardian_process, _missing_callback, _rendezvous
from ansible_collections.treekill.remote.plugins.plugin_utils._fork import RunPipes
from ansible_collections.treekill.remote.plugins.plugin_utils._in_flight import Guard, note
from ansible_collections.treekill.remote.plugins.plugin_utils._local_processes import identify
from ansible_collections.treekill.remote.plugins.plugin_utils._options import RecordOptions, resolve_records
from ansible_collections.treekill.remote.plugins.plugin_utils._wire import Channel, Message, WireError

_TIMEOUT = 10.0
"""Seconds for an answer from the guardian, which takes some 0.1 ms; it may have to wait for a busy machine."""

display = Display()


class Interrupted(AnsibleError):
    """The gate is closed: the run was interrupted, and nothing new may start on any host."""


@dataclasses.dataclass
class Link:
    """One for each process. Survives a guardian that dies: another one is started, and the user is warned."""

    run: str
    main: ProcessId
    announced: bool
    """Whether the main process knows of the guardian, and so will print a recap."""
    pipes: RunPipes | None = None
    records: RecordOptions | None = None
    """What the guardian writes down. Without a callback, whoever starts a guardian looks it up."""
    _owner: int = 0
    _channel: Channel | None = None
    _warned: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def of_parent(cls) -> Link:
        """For a worker of a run whose main process has not started a guardian: the callback is not enabled."""
        main = identify(os.getppid())
        # All workers of the run have to come to the same id without having spoken to each other; no other run may.
        seed = f"{uuid.getnode()}/{socket.gethostname()}/{os.stat('/').st_ctime_ns}/{main.pid}/{main.start}"
        return cls(run=hashlib.sha256(seed.encode()).hexdigest()[:16], main=main, announced=False)

    def take(self, lease: str, terms: Message) -> bool:
        """Take a lease before its command goes out. False when no guardian can be had; the user was warned.

        Args:
            lease: the lease's id.
            terms: the other members of the message, as `Guardian` reads them.

        Raises:
            Interrupted: the gate is closed.
        """
        reason = ""
        for attempt in ("the guardian at hand", "a new one"):
            try:
                channel = self._connected()
                channel.send({"op": "take", "lease": lease, **terms})
                answer = channel.receive()
            except (OSError, WireError, _rendezvous.RendezvousError, _rendezvous.WrongPeer) as error:
                self._drop()
                reason = f"{attempt}: {error}"
                continue
            if not answer["granted"]:
                raise Interrupted(f"The run was interrupted ({answer['why']}): nothing new is started on any host.")
            return True
        note(Guard.NO_GUARDIAN)
        self._warn(f"treekill.remote: no guardian can be had ({reason}). Protection is lost: what this task starts may outlive the run.")
        return False

    def unguarded(self, host: str, connection: str, reason: str) -> None:
        """Say that what runs on `host` by this connection is not protected: a warning a host and run, and a line in the recap.

        The guardian knows whether it was said before, by whichever worker; where none can be had, it is said each time.
        """
        note(Guard.IMPOSSIBLE)
        first = True
        try:
            channel = self._connected()
            channel.send({"op": "unguarded", "host": host, "connection": connection, "reason": reason})
            first = bool(channel.receive()["first"])
        except (OSError, WireError, _rendezvous.RendezvousError, _rendezvous.WrongPeer):
            self._drop()
        if first:
            display.warning(
                f"treekill.remote: {host} is not protected: what runs there over the connection {connection} would outlive the run, since {reason}."
                " If that is as it should be, set treekill_track: none for it."
            )

    def done(self, lease: str) -> None:
        """The command has returned. Does not wait for an answer."""
        self._tell({"op": "done", "lease": lease})

    def detach(self, lease: str) -> None:
        """The command has returned, having started a job that goes on by itself."""
        self._tell({"op": "detach", "lease": lease})

    def broken(self, lease: str, lost: bool, wait: float = 0.0) -> Message | None:
        """The command has not returned.

        Args:
            lease: the lease's id.
            lost: whether its connection was lost, and not given up from here.
            wait: seconds to wait until its kill order has been tried; 0 not to wait.

        Returns:
            What came of the order, as the guardian reports it; None if that is not known yet.
        """
        self._tell({"op": "broken", "lease": lease, "lost": lost, "wait": wait > 0})
        if wait > 0 and self._channel is not None:
            try:
                self._channel.socket.settimeout(wait)
                answer = self._channel.receive()
                self._channel.socket.settimeout(_TIMEOUT)
            except (OSError, WireError):
                # It took too long, or the guardian is gone; an answer that came late would be taken for another's.
                self._drop()
            else:
                return t.cast("Message | None", answer["tried"])
        return None

    def done_at_exit(self, lease: str) -> None:
        """The lease lasts until this process has ended in good order, which is after it has handed on the task's result."""
        multiprocessing.util.Finalize(None, self.done, (lease,), exitpriority=0)

    def _tell(self, message: Message) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(message)
        except OSError:
            # The guardian is gone, and with it all that it knew of this lease: there is nobody to tell. The next lease starts another.
            self._drop()

    def _connected(self) -> Channel:
        if self._owner != os.getpid():
            # Forked: the channel belongs to the process that made it.
            self._channel, self._owner = None, os.getpid()
        if self._channel is None:
            self._channel = Channel(_rendezvous.connect(self._find(), _TIMEOUT))
        return self._channel

    def _find(self) -> str:
        """The guardian's socket: the one that the run announced, or that of a guardian which is started now."""
        path = os.environ.get(_rendezvous.ENVIRONMENT)
        if path is not None and _rendezvous.answers(path):
            return path
        # Said when it is so: where none can be started, that is what the user has to know.
        found = _guardian_process.ensure(self.run, self.main, self.pipes, self.records or resolve_records())
        if path is not None:
            self._warn("treekill.remote: the guardian of this run was gone. A new one was started; tasks that were in flight are not protected.")
        elif not self.announced:
            self._warn(
                f"treekill.remote: this run has no recap. {_missing_callback.said_of_it()}. Of tasks that go through this collection's own plugins,"
                " what an interruption leaves is killed. No other task is guarded."
            )
        return found

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _warn(self, text: str) -> None:
        """Once for each kind of news, which is known by its beginning: the reason may be another one each time."""
        kind = text.partition("(")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            display.warning(text)


class _Announced:
    """The link of this process: set in the main process, inherited by its forks."""

    link: Link | None = None


def announce(link: Link) -> None:
    """Make `link` the one that this process and its forks use."""
    _Announced.link = link


def is_announced() -> bool:
    """Whether the main process of this run has a guardian: its callback is there."""
    return _Announced.link is not None and _Announced.link.announced


def current() -> Link:
    """The link of this run: the announced one, or in a worker of a run without callback one to a guardian that its first lease starts."""
    if _Announced.link is None:
        _Announced.link = Link.of_parent()
    return _Announced.link
