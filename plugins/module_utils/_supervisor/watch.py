# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The life of a supervisor: it waits until the module ends or the channel breaks."""

import os
import select
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    OF_A_GROUP,
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.title import (
    SUPERVISOR_TITLE,
    set_title,
)
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.exit import end_like
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import (
    FORWARDED,
    is_broken,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.pulse_watch import (
        PulseWatch,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.supervisor_options import (  # noqa: E501
        SupervisorOptions,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.window import Window

#: A module that has run for this many milliseconds may run for hours.
IDLE_MILLISECONDS = 300
#: Milliseconds between two looks at the size of the terminal, see window.py. Each takes some 0.1 ms
#: of processor time: what it needs has left the caches.
WINDOW_MILLISECONDS = 100
#: Milliseconds between two tries in a shortage, and seconds beyond the grace period after which it
#: gives up.
RETRY_MILLISECONDS, GIVE_UP_SECONDS = 100, 60.0


class Supervisor:
    """The supervisor of one module run.

    options: of the kill request.
    arguments: of the module.
    program: returns the text of a kill pass.
    child: the module.
    status: of the module, in the format of waitpid; None until it has ended.
    listener: the socket of the lease, if it exists already.
    wakeup: becomes readable when a signal comes.
    relay: the end of a pipe, if the shell waits for another process, which reads the status from
        it.
    taken: descriptors of /dev/null, which are given up in a shortage of descriptors.
    childless: whether nothing is below this process any more.
    report_seconds: how long the report is kept for a courier.
    has_pulse: whether the run has a pulse on this host, which ends with the run.
    pulse: its watch, once the module has run for a while.
    """

    def __init__(  # noqa: PLR0917 - all that was made before the fork
        self,
        options: "SupervisorOptions",
        arguments: "Sequence[str]",
        program: "Callable[[], str]",
        child: int,
        listener: "Any",
        relay: "Optional[int]",
        wakeup: "Tuple[int, int]",
        taken: "List[int]",
    ) -> None:
        self.task = options.pop("task", "")
        # If the task cuts its own connection, a broken channel means nothing.
        self._channel = () if options.pop("watch", "") == "0" else (1, 2)
        self._session = bool(options.pop("session", "") and self._channel)
        self._looks = bool(options.pop("window", "") and self._channel and os.isatty(1))
        self.report_seconds = int(options.pop("report", "90"))
        self._window: Optional[Window] = None
        self.has_pulse = bool(options.pop("pulse", ""))
        self.pulse: Optional[PulseWatch] = None
        self.options = options
        self.arguments = arguments
        self.program = program
        self.child = child
        self.status: Optional[int] = None
        self.listener = listener
        self.relay = relay
        self.taken = taken
        self.childless = False
        self._parent = os.getppid()
        self._came: Dict[int, object] = {}
        self._poll = select.poll()
        self._patience: Optional[int] = WINDOW_MILLISECONDS if self._looks else IDLE_MILLISECONDS
        self._busy = True
        self._idle_at = time.monotonic() + IDLE_MILLISECONDS / 1000.0
        self.wakeup, self._wakeup_end = wakeup

    def watch(self, mask: "Any") -> "NoReturn":
        """Wait until the module ends or the channel breaks; end the tree if it does.

        mask: of the signals, from before they were blocked.
        """
        try:
            os.setsid()
        except OSError:
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor.process_group import (  # noqa: E501
                leave_group,
            )

            leave_group()
        os.dup2(self.taken[-1], 0)
        set_title(
            (
                "%s of run %s, lease %s: %s"
                % (SUPERVISOR_TITLE, self.options["run"], self.options["lease"], self.task)
            ).encode()
        )
        self._take_signals()
        # CONT stays pending, with the pid of its sender: see give_way().
        host_signals.pthread_sigmask(host_signals.SIG_SETMASK, {*mask, host_signals.SIGCONT})
        for descriptor in self._channel:
            self._poll.register(descriptor, 0)
        try:
            self._watch_session()
        except (MemoryError, OSError):
            pass  # there is a shortage
        self.reap()
        broken = False
        while self.status is None and not broken:
            broken = self.channel_breaks()
            self.reap()
        ordered = self.give_way()
        # The hang-up of a terminal may have ended the module first. Then nothing was left behind on
        # purpose.
        if (
            self.status is None
            or self.relay is None
            and (broken or self.is_cut_off() or not ordered and self._is_cut_off_in_time())
        ):
            self.end()
        if self.relay is not None:
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor.async_job import (  # noqa: E501
                stay_with_job,
            )

            stay_with_job(self)
        end_like(self.status)

    def is_cut_off(self) -> bool:
        """Whether the channel is broken at this moment."""
        return bool(self._channel) and is_broken()

    def _is_cut_off_in_time(self) -> bool:
        """Whether the channel breaks before a kill order comes.

        An order may be on its way for what is left.
        """
        ended = os.WIFSIGNALED(self.status or 0) and os.WTERMSIG(self.status or 0) in OF_A_GROUP
        # A run is interrupted by a signal that also ends the module, or the shell that waits for
        # this process.
        if self.childless or not ended and os.getppid() == self._parent:
            return False
        from ansible_collections.treekill.remote.plugins.module_utils._supervisor.await_order import (  # noqa: E501
            await_order,
        )

        return await_order(self)

    def give_way(self) -> bool:
        """Let a kill pass do its work. Return whether there was one.

        The pass stops and continues the supervisor that it finds. If the pass dies, the supervisor
        goes on as before.
        """
        if host_signals.SIGCONT not in host_signals.sigpending():
            return False
        from ansible_collections.treekill.remote.plugins.module_utils._supervisor.give_way import (
            give_way,
        )

        return give_way(self)

    def end(self) -> "NoReturn":
        """End the tree by a kill pass. In a shortage, signal the children until it is over."""
        first = time.monotonic()
        sent: Dict[int, int] = {}
        left = True
        while True:
            try:
                from ansible_collections.treekill.remote.plugins.module_utils._supervisor.end_tree import (  # noqa: E501
                    end_tree,
                )

                end_tree(self)
            except Exception:  # noqa: BLE001 - whatever is missing: memory, descriptors, processes, a file of Python's, all of /proc
                self.give_up_taken()
                left = self._signal_children(
                    sent, time.monotonic() - first >= float(self.options.get("timeout", 10.0))
                )
            self.rest(RETRY_MILLISECONDS)
            if (
                not left
                or self.childless
                or time.monotonic() - first
                >= float(self.options.get("timeout", 10.0)) + GIVE_UP_SECONDS
            ):
                os._exit(1)

    def give_up_taken(self) -> None:
        """Close the descriptors that were kept for a shortage."""
        while self.taken:
            os.close(self.taken.pop())

    def _signal_children(self, sent: "Dict[int, int]", grace_over: bool) -> bool:
        """Signal each child once, and send KILL after the grace period.

        The children are the module, and the orphans that /proc shows. Return whether anything may
        be left.

        Until a child is reaped, its pid belongs to it.
        """
        number = 9 if grace_over else int(self.options.get("signal", 15))
        found = orphans()
        pids = [pid for pid in found or () if pid != self.child]
        if self.status is None:
            pids.append(self.child)
        for pid in pids:
            if sent.get(pid) != number:
                sent[pid] = number
                for one in (number, host_signals.SIGCONT):
                    try:
                        os.kill(pid, one)
                    except OSError:
                        # it belongs to another user: the kill order may be allowed to signal it
                        pass
        return bool(pids) or found is None

    def _take_signals(self) -> None:
        for descriptor in (self.wakeup, self._wakeup_end):
            os.set_blocking(descriptor, False)
        self._poll.register(self.wakeup, select.POLLIN)
        try:
            host_signals.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        except TypeError:
            host_signals.set_wakeup_fd(self._wakeup_end)  # Python 3.6
        for name in (*FORWARDED, "SIGCHLD"):
            # Not a Python function: the next signal would interrupt it, and a storm of signals
            # would become too deep a recursion.
            host_signals.signal(getattr(host_signals, name), self._came.setdefault)

    def _forward(self) -> None:
        """Pass on the signals that came. The module has its pid until its status is read."""
        for number in list(self._came):
            del self._came[number]
            if self.status is None and number != host_signals.SIGCHLD:
                try:
                    os.kill(self.child, number)
                except PermissionError:
                    # it belongs to another user by now, as sudo does: the signal is lost, and the
                    # module is still waited for
                    pass

    def channel_breaks(self) -> bool:
        """Wait for the channel to break, or for a signal.

        Return whether the channel broke, or a kill order came over it.
        """
        if self.pulse is not None:
            return self.pulse.run_is_gone() or self.pulse.wait(self._poll, self.wakeup)
        events = self._poll.poll(self._patience)
        # Orphans that come and go all the time leave no moment without an event.
        if self._busy and time.monotonic() >= self._idle_at:
            self.become_idle()
        return any(descriptor != self.wakeup for descriptor, dummy in events) or (
            self._looks and not events and self._is_ordered()
        )

    def _is_ordered(self) -> bool:
        """Whether the size of the terminal is a kill order for this lease."""
        try:
            if self._window is None:
                from ansible_collections.treekill.remote.plugins.module_utils._supervisor.window import (  # noqa: E501
                    Window,
                )

                self._window = Window(self.options["lease"])
            return self._window.is_order()
        except Exception:  # noqa: BLE001 - the watch of the channel must go on, whatever is missing
            # There is a shortage, the terminal was hung up or belongs to another user, or this
            # Python has no such module. The courier comes as ever.
            self._looks, self._patience = False, IDLE_MILLISECONDS if self._busy else None
            return False

    def become_idle(self) -> None:
        """Prepare for a long wait: give memory back."""
        self._busy = False
        if not self._looks:
            self._patience = None
        try:
            if self.has_pulse:
                from ansible_collections.treekill.remote.plugins.module_utils._supervisor.pulse_watch import (  # noqa: E501
                    PulseWatch,
                )

                self.pulse = PulseWatch(self.options["run"], self.options["lease"])
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor.idle import (
                give_back_code,
                keep_at_hand,
            )

            keep_at_hand()
            give_back_code()
        except (MemoryError, OSError):
            pass  # there is a shortage

    def _watch_session(self) -> None:
        """Treat the end of the ssh session as one of the channel, if the output is held open.

        This is done at once: when a run dies soon after the module has started, no server is above
        this process any more.
        """
        if self._session:
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor.ssh_session import (  # noqa: E501
                session_end,
            )

            end = session_end()
            if end is not None:
                self._poll.register(end, select.POLLIN)

    def watch_nothing(self) -> None:
        """Stop watching the channel."""
        for descriptor in self._channel:
            self._poll.unregister(descriptor)

    def rest(self, milliseconds: int) -> None:
        """Wait for so long, or until a signal comes."""
        poll = select.poll()
        poll.register(self.wakeup, select.POLLIN)
        poll.poll(milliseconds)
        self.reap()

    def reap(self) -> None:
        """Read the status of each child that has ended: the module, or an orphan."""
        try:
            while os.read(self.wakeup, 65536):
                pass
        except BlockingIOError:
            pass  # all is read
        self._forward()
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
            while pid:
                if pid == self.child:
                    self.status = status
                pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            self.childless = True


def orphans() -> "Optional[List[int]]":
    """Return the children that are to be ended; None if /proc shows none.

    They are not ssh servers run by root. They show an environment without `TREEKILL=spare`.
    """
    try:
        with open("/proc/self/task/%d/children" % os.getpid(), "rb") as children:
            pids = [int(pid) for pid in children.read().split()]
    except (OSError, MemoryError):
        return None
    return [pid for pid in pids if is_not_exempt(pid)]


def is_not_exempt(pid: int) -> bool:
    """Whether a process shows that it is not exempt.

    Its environment can be read and has no `TREEKILL=spare`. It is no ssh server run by root: logins
    of other people are below that.
    """
    try:
        with open("/proc/%d/environ" % pid, "rb") as environment:
            if b"TREEKILL=spare" in environment.read().split(b"\0"):
                return False
        with open("/proc/%d/status" % pid, "rb") as status:
            lines = status.read().split(b"\n")
    except (OSError, MemoryError):
        return False
    # The names are those of _tree/search.py. A supervisor without memory can't import that.
    named = lines[0][6:].rstrip(b":") in (b"sshd", b"sshd-session", b"sshd-auth", b"dropbear")
    return not named or not any(
        line.startswith(b"Uid:") and line.split()[2] == b"0" for line in lines
    )
