# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The life of a supervisor: it waits for the module to end, or for the channel to break.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
A file of its own because the module need not compile it.
"""

import os
import select
import time

from ansible_collections.treekill.remote.plugins.module_utils._host_signals import host_signals
from ansible_collections.treekill.remote.plugins.module_utils._supervisor import FORWARDED, call, is_broken
from ansible_collections.treekill.remote.plugins.module_utils._supervisor_name import SUPERVISOR_TITLE, set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, NoReturn, Optional, Sequence

# A module that takes so many milliseconds may take hours.
IDLE = 300
# See prctl(2). A limit would not do: the kernel asks a program that takes core dumps, as systemd's does, in spite of it.
PR_SET_DUMPABLE = 4


class Supervisor:
    """The supervisor of one module run.

    options: of the kill request. arguments: of the module. program: tells the text of a kill pass. child: the module. status: of the module when
    it has ended, as waitpid tells it. listener: the socket of the lease, if it is there already. wake: readable when a signal came.
    relay: the end of a pipe where the process that the shell waits for reads the status, if that is another one.
    """

    def __init__(
        self,
        options: "Dict[str, str]",
        arguments: "Sequence[str]",
        program: "Callable[[], str]",
        child: "int",
        listener: "Any",
        relay: "Optional[int]",
    ) -> "None":
        self.task = options.pop("task", "")
        # Where the task cuts its own connection, the end of the channel says nothing.
        self._channel = () if options.pop("watch", "") == "0" else (1, 2)
        self._session = bool(options.pop("session", "") and self._channel)
        self.options = options
        self.arguments = arguments
        self.program = program
        self.child = child
        self.status: Optional[int] = None
        self.listener = listener
        self.relay = relay
        self._poll = select.poll()
        self._patience: Optional[int] = IDLE
        self._idle_at = time.monotonic() + IDLE / 1000.0
        self.wake, self._woken = os.pipe()

    def watch(self, mask: "Any") -> "NoReturn":
        """Until the module ends, or the channel breaks. mask: of the signals, as it was before they were blocked."""
        try:
            os.setsid()
        except OSError:
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor_group import leave_group

            leave_group()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.close(null)
        set_title(("%s of run %s, lease %s: %s" % (SUPERVISOR_TITLE, self.options["run"], self.options["lease"], self.task)).encode())
        self._take_signals()
        host_signals.pthread_sigmask(host_signals.SIG_SETMASK, mask)
        for descriptor in self._channel:
            self._poll.register(descriptor, 0)
        self.reap()
        broken = False
        while self.status is None and not broken:
            broken = self.channel_breaks()
            self.reap()
        # A terminal that was hung up may have ended the module before we get our turn: then nothing was left behind on purpose.
        if self.status is None or self.relay is None and (broken or self._channel and is_broken()):
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor_end import end_tree

            end_tree(self)
        if self.relay is not None:
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor_async import stay_with_job

            stay_with_job(self)
        end_like(self.status)

    def _take_signals(self) -> "None":
        for descriptor in (self.wake, self._woken):
            os.set_blocking(descriptor, False)
        self._poll.register(self.wake, select.POLLIN)
        host_signals.set_wakeup_fd(self._woken)
        for name in FORWARDED:
            host_signals.signal(getattr(host_signals, name), lambda number, dummy: self._forward(number))
        host_signals.signal(host_signals.SIGCHLD, lambda dummy, frame: None)

    def _forward(self, number: "int") -> "None":
        """Pass a signal on. The module's pid is its own until its status was read."""
        if self.status is None:
            os.kill(self.child, number)

    def channel_breaks(self) -> "bool":
        """Wait for the channel to break, or for a signal. Whether it was the channel."""
        events = self._poll.poll(self._patience)
        # Orphans that come and go all the time leave no moment without an event.
        if self._patience is not None and (not events or time.monotonic() >= self._idle_at):
            self._watch_session()
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor_idle import give_back_code

            give_back_code()
            self._patience = None
        return any(descriptor != self.wake for descriptor, dummy in events)

    def _watch_session(self) -> "None":
        """The end of the ssh session is one of the channel, whoever holds the other end of our output."""
        if self._session:
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor_session import session_end

            end = session_end()
            if end is not None:
                self._poll.register(end, select.POLLIN)
            self._session = False

    def watch_nothing(self) -> "None":
        """The channel is not ours any more."""
        self._session = False
        for descriptor in self._channel:
            self._poll.unregister(descriptor)

    def reap(self) -> "None":
        """Read the status of whoever has ended: the module, or an orphan of its."""
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass  # all is read
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
            while pid:
                if pid == self.child:
                    self.status = status
                pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass  # nobody is left


def end_like(status: "int") -> "NoReturn":
    """End this process with the status of another one: by the same signal, but without a core dump of ours."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
        try:
            host_signals.signal(number, host_signals.SIG_DFL)
        except (OSError, ValueError):
            pass  # KILL can't be set to what it is anyway
        host_signals.pthread_sigmask(host_signals.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))
