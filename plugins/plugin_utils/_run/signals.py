# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signals of a guarded run in its main process, and the effect of each.

A signal interrupts the run if this handler has run, and if the signal would have interrupted the
run without it.

The handler itself writes to the guardian. `signal.set_wakeup_fd` would be some microseconds faster.
But the interpreter writes every signal to that descriptor, whatever its handler does, and any event
loop may set another one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import types
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RUN_SIGNALS

#: A repeated signal within this time is an echo. The terminal sends Ctrl-C to a process group, and
#: a wrapper in the group often passes it on. The user needs longer for a second Ctrl-C.
_ECHO_SECONDS = 0.2

_CORES_HANDLER = "TaskQueueManager._signal_handler"


class StopWaiting(Exception):
    """A signal after the last one that could still have an effect on the end of the run."""


class GoesOn(t.Protocol):
    """The `always` sections of a run. The signal handler calls every method."""

    def goes_on(self, number: int, frame: types.FrameType | None) -> bool:
        """Whether the run goes on after this signal, which is its first."""

    def begin(self) -> None:
        """Go on: the clients are frozen."""

    def give_up(self, reason: str) -> None:
        """Do not go on after all."""


class RunSignals:
    """Handlers of INT, TERM and HUP, from `install` to `uninstall`."""

    def __init__(self, signal_end: int, await_freeze: t.Callable[[], bool]) -> None:
        """Install nothing yet.

        Args:
            signal_end: the write end of the pipe from which the guardian reads signals.
            await_freeze: waits until the clients of the run are frozen, and returns whether they
                are.
        """
        self._signal_end: int | None = signal_end
        self._await_freeze = await_freeze
        #: The handler of each signal before this one was installed.
        self._before: dict[int, t.Any] = {}
        self._last: tuple[int, float] = (0, 0.0)
        self._warned = False
        #: Number of signals during the wait for the report.
        self._orders = 0
        #: The number of the last one of them that has an effect. The next one ends the wait.
        self._last_effective_signal = 0
        #: The first signal, in the run or in the wait for its report, that ends a process without a
        #: handler.
        self._fatal = 0
        #: The `always` sections to which the run may go on after its first signal.
        self.always: GoesOn | None = None
        #: Whether a run that has gone on must be unwound.
        self._unwinds = False
        #: The signal after which the run has gone on; 0 for none.
        self.went_on_after = 0
        #: Whether the main process waits for the report of the guardian.
        self.waiting = False
        #: The signals that have interrupted the run.
        self.received: list[int] = []

    @property
    def cause(self) -> int:
        """The signal that has interrupted the run; 0 for none."""
        return self.received[0] if self.received else 0

    @property
    def fatal(self) -> int:
        """The signal that has to end the process after its clean-up; 0 for none.

        It is never INT: core reports that by the exit status 99.
        """
        return self._fatal if self._fatal != signal.SIGINT else 0

    def install(self) -> bool:
        """Install the handlers.

        Returns:
            False in a thread other than the main one: the interpreter allows no handlers there.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        for number in RUN_SIGNALS:
            before = signal.getsignal(number)
            # An ignored signal stays ignored: HUP under nohup, INT in a background job of a shell.
            # None means a handler that is not Python's.
            if before not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self.on_signal)
        return True

    def uninstall(self, at_exit: bool = False) -> None:
        """Restore each handler that has not been replaced by another one.

        Args:
            at_exit: the process is about to end. Core resets a signal that it has handled once, so
                that the next one ends the process.
        """
        self._signal_end = None
        if threading.current_thread() is not threading.main_thread():
            return  # a handler that stays now gives its signal the effect that it had before
        for number, before in self._before.items():
            if signal.getsignal(number) == self.on_signal:
                signal.signal(
                    number,
                    signal.SIG_DFL
                    if at_exit and number in self.received and _is_cores(before)
                    else before,
                )
        self._before.clear()

    def reinstall(self) -> str:
        """Install each handler again that was replaced.

        Returns:
            The text of a warning, once; otherwise empty.
        """
        if threading.current_thread() is not threading.main_thread():
            return ""
        lost = [number for number in self._before if signal.getsignal(number) != self.on_signal]
        for number in lost:
            now = signal.getsignal(number)
            if now is signal.SIG_IGN:
                # Ignored on purpose: such a signal must not interrupt the run.
                del self._before[number]
                continue
            if now not in (signal.SIG_DFL, None) and not _is_cores(now):
                self._before[number] = now
            signal.signal(number, self.on_signal)
        lost = [number for number in lost if number in self._before]
        if not lost or self._warned:
            return ""
        self._warned = True
        names = ", ".join(signal.Signals(number).name for number in lost)
        return (
            "treekill.remote: another plugin, or this ansible-core, has replaced the signal"
            f" handlers of this run ({names}). They are installed again at the start of each task."
            " A signal before that may end the run without a recap."
            " The processes that it leaves behind are ended nevertheless."
        )

    def on_signal(self, number: int, frame: types.FrameType | None) -> None:
        """Handle a signal of the run, without any output: the signal may have interrupted a print.

        The first signal unwinds the run after the clients are frozen. The second one has the
        guardian skip the grace period. If the run goes on to its `always` sections after the first
        one, the second one unwinds it. During the wait for the report, a further signal ends the
        wait. At any other time, it has the effect that it has without the callback.
        """
        before = self._before.get(number, signal.SIG_DFL)
        if self._signal_end is None:
            self._as_before(number, frame)
        elif (
            (self.waiting or self.received)
            and number not in self.received
            and not _ends_a_run(before)
        ):
            before(number, frame)
        elif self.waiting:
            self._order(number)
        elif not self.received:
            self._interrupt(number, frame)
        elif not self._is_echo(number):
            self.received.append(number)
            self._write_to_guardian(number)
            if len(self.received) > 2:
                self._as_before(number, frame)

    def _interrupt(self, number: int, frame: types.FrameType | None) -> None:
        before = self._before.get(number, signal.SIG_DFL)
        if not _ends_a_run(before):
            # A handler of the program or of another plugin interrupts the run if it raises an
            # exception.
            try:
                before(number, frame)
            except BaseException:
                if self.always is not None and not self.went_on_after:
                    self.always.give_up("another handler of the signal has ended the run")
                self._count_first(number)
                raise
            return
        self._fatal = self._fatal or number
        if self.went_on_after:
            # An echo may come while the handler decides.
            # The guardian takes any signal within this time for an echo, too.
            if self._is_echo(number, whatever=True) and not self._unwinds:
                return
        elif self.always is not None:
            self.went_on_after = number
            self._is_echo(number)
            if self._go_on(number, frame, self.always):
                return
            self.went_on_after = 0
            if self.received:
                raise unwinding(number)
        self._count_first(number)
        raise unwinding(self.received[0])

    def _go_on(self, number: int, frame: types.FrameType | None, always: GoesOn) -> bool:
        """Go on to `always` sections, and return whether the run does.

        If it does not and the guardian knows of the signal, the signal has interrupted the run.
        """
        if not always.goes_on(number, frame):
            return False
        self._write_to_guardian(number)
        if self._await_freeze():
            always.begin()
            return True
        always.give_up("the guardian did not answer")
        self.received.append(number)
        return False

    def unwind(self) -> None:
        """Unwind a run that has gone on, as a second signal does. Any thread may call it."""
        main = threading.main_thread().ident
        if self.went_on_after and not self.received and main is not None:
            self._unwinds = True
            signal.pthread_kill(main, self.went_on_after)

    def stop_going_on(self) -> BaseException | None:
        """Return the exception of the signal after which the run has gone on.

        None if it has not, or if a further signal has interrupted it. The run counts as interrupted
        from here on.
        """
        if not self.went_on_after or self.received:
            return None
        self.received.append(self.went_on_after)
        return unwinding(self.went_on_after)

    def _count_first(self, number: int) -> None:
        self._is_echo(number)
        # A run that has gone on ends by its first signal.
        self.received.append(self.went_on_after or number)
        self._write_to_guardian(number)
        self._await_freeze()

    def _order(self, number: int) -> None:
        if self._is_echo(number):
            return
        self._orders += 1
        if not self.received:
            self._fatal = self._fatal or number
        if self._orders > self._last_effective_signal:
            raise StopWaiting
        self._write_to_guardian(number)

    def _is_echo(self, number: int, whatever: bool = False) -> bool:
        """Whether a signal is an echo of the one before it. `whatever`: of any number."""
        before, self._last = self._last, (number, time.monotonic())
        return (whatever or before[0] == number) and self._last[1] - before[1] <= _ECHO_SECONDS

    def _write_to_guardian(self, number: int) -> None:
        if self._signal_end is not None:
            # The pipe is full of unread signals: one more would add nothing.
            with contextlib.suppress(OSError):
                os.write(self._signal_end, bytes([number]))

    def _as_before(self, number: int, frame: types.FrameType | None) -> None:
        before = self._before.get(number, signal.SIG_DFL)
        if callable(before) and not _is_cores(before) and not isinstance(before, signal.Handlers):
            before(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    # The wait for the report.

    @contextlib.contextmanager
    def as_orders(self) -> t.Iterator[None]:
        """Treat each signal in this block as an order to the guardian, or as the end of the wait.

        Raises:
            StopWaiting: a signal after the last effective one, in the block or before it.
        """
        if len(self.received) > 2:
            raise StopWaiting
        # In a run that was not interrupted, the first signal already skips the grace period.
        self._orders, self._last_effective_signal = (
            0,
            2 - len(self.received) if self.received else 1,
        )
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False

    def allow_one_more(self) -> None:
        """Give the next signal an effect, whatever came before."""
        self._last_effective_signal = max(self._last_effective_signal, self._orders + 1)

    @property
    def effects(self) -> str:
        """The effects of the next signals during the wait for the report, in words for the user."""
        if self._orders >= self._last_effective_signal:
            return "Press Ctrl-C to skip the report."
        if not self.received:
            return "Press Ctrl-C to send SIGKILL now, again to skip the report."
        return "Press Ctrl-C again to send SIGKILL now, a third time to skip the report."


def unwinding(number: int) -> BaseException:
    """Return the exception that a signal raises in the main thread."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _is_cores(handler: object) -> bool:
    """Whether it is the handler of ansible-core 2.19.4 and later.

    That handler passes the signal on to the workers, and ends the run.
    """
    return getattr(getattr(handler, "__func__", None), "__qualname__", "") == _CORES_HANDLER


def _ends_a_run(handler: object) -> bool:
    return handler in (signal.SIG_DFL, signal.default_int_handler) or _is_cores(handler)
