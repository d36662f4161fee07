# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signals of a guarded run in its main process: which of them interrupt it, and what each does.

This file is private to the collection treekill.remote.

The handler itself writes to the guardian. `signal.set_wakeup_fd` would be some microseconds earlier, but the interpreter writes every signal there, whatever
its handler does, and it belongs to whichever event loop has set it last. A signal counts when this handler has run, and when the run would have been
interrupted without it.
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

#: Seconds. A wrapper in the same process group often passes on the Ctrl-C that the terminal has
#: sent to both; a second one by hand takes longer.
_ECHO_SECONDS = 0.2

_CORES_HANDLER = "TaskQueueManager._signal_handler"


class StopWaiting(Exception):
    """One signal more than those that still had an effect on the end of the run."""


class RunSignals:
    """Handlers of INT, TERM and HUP, from `install` to `uninstall`."""

    def __init__(self, wake_end: int, await_freeze: t.Callable[[], None]) -> None:
        """Nothing is installed yet.

        Args:
            wake_end: the write end of the pipe on which the guardian reads signals.
            await_freeze: returns when the clients of the run stand still.
        """
        self._wake_end: int | None = wake_end
        self._await_freeze = await_freeze
        #: What each signal did when the handler was installed.
        self._before: dict[int, t.Any] = {}
        self._last: tuple[int, float] = (0, 0.0)
        self._warned = False
        #: Signals that came in the wait for the report.
        self._orders = 0
        self._last_effective_signal = 0
        #: The first signal of the run, or of the wait for its report, that ends a process by
        #: itself.
        self._fatal = 0
        #: Whether the main process waits for the report of the guardian.
        self.waiting = False
        #: The signals that have interrupted the run.
        self.received: list[int] = []

    @property
    def cause(self) -> int:
        """The signal that has interrupted the run; 0 if none has."""
        return self.received[0] if self.received else 0

    @property
    def fatal(self) -> int:
        """The signal that the process has to die of when it has cleaned up; 0 for none. INT is core's to report, as exit status 99."""
        return self._fatal if self._fatal != signal.SIGINT else 0

    def install(self) -> bool:
        """Take the handlers. False in a thread other than the main one, where the interpreter allows no handlers."""
        if threading.current_thread() is not threading.main_thread():
            return False
        for number in RUN_SIGNALS:
            before = signal.getsignal(number)
            # An ignored signal stays ignored: HUP under nohup, INT in a job that a shell put into the background. None: a handler that is not Python's.
            if before not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self.on_signal)
        return True

    def uninstall(self, at_exit: bool = False) -> None:
        """Give each signal back, where it is still ours.

        Args:
            at_exit: the process is about to end. Core resets a signal that it has handled once, so that the next one ends the process.
        """
        self._wake_end = None
        if threading.current_thread() is not threading.main_thread():
            return  # A handler that can't be taken away does from here on what it would do without us.
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
        """Take back each signal whose handler was replaced; the text of a warning, once."""
        if threading.current_thread() is not threading.main_thread():
            return ""
        lost = [number for number in self._before if signal.getsignal(number) != self.on_signal]
        for number in lost:
            now = signal.getsignal(number)
            if now is signal.SIG_IGN:
                # Ignored on purpose by now: the run is to go on after such a signal.
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
            f"treekill.remote: another plugin, or this ansible-core, has replaced the signal handlers of this run ({names}); they are put back at the start"
            " of each task. Between that and such a signal the run may end without a recap; what it leaves is ended all the same."
        )

    def on_signal(self, number: int, frame: types.FrameType | None) -> None:
        """Print nothing: the signal may have interrupted a print.

        The first one unwinds the run, once the clients stand still. The second has told the guardian to skip the grace. In the wait for the report a
        further one ends the wait; outside of it, a further one does what it would do without the callback.
        """
        before = self._before.get(number, signal.SIG_DFL)
        if self._wake_end is None:
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
            # A handler of the program or of another plugin. Whether it interrupts the run shows when it has run.
            try:
                before(number, frame)
            except BaseException:
                self._count_first(number)
                raise
            return
        self._fatal = number
        self._count_first(number)
        raise unwinding(number)

    def _count_first(self, number: int) -> None:
        self._is_echo(number)
        self.received.append(number)
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

    def _is_echo(self, number: int) -> bool:
        before, self._last = self._last, (number, time.monotonic())
        return before[0] == number and self._last[1] - before[1] <= _ECHO_SECONDS

    def _write_to_guardian(self, number: int) -> None:
        if self._wake_end is not None:
            # The pipe is full of signals that nobody has read: one more says nothing new.
            with contextlib.suppress(OSError):
                os.write(self._wake_end, bytes([number]))

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
        """In this block each signal is an order to the guardian, or ends the wait.

        Raises:
            StopWaiting: it was one too many, in the block or before it.
        """
        if len(self.received) > 2:
            raise StopWaiting
        # Of a run that has ended by itself the first signal already shortens the grace.
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
        """The next signal has an effect, whatever came before."""
        self._last_effective_signal = max(self._last_effective_signal, self._orders + 1)

    @property
    def effects(self) -> str:
        """What the next signals do in the wait for the report, in words for the user."""
        if self._orders >= self._last_effective_signal:
            return "Ctrl-C: do not wait for the report."
        if not self.received:
            return "Ctrl-C: KILL at once. Again: do not wait for the report."
        return "Ctrl-C again: KILL at once. A third time: do not wait for the report."


def unwinding(number: int) -> BaseException:
    """What a signal raises in the main thread."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _is_cores(handler: object) -> bool:
    """Whether it is the handler that ansible-core 2.19.4 and later install: it passes the signal on to the workers, and ends the run."""
    return getattr(getattr(handler, "__func__", None), "__qualname__", "") == _CORES_HANDLER


def _ends_a_run(handler: object) -> bool:
    return handler in (signal.SIG_DFL, signal.default_int_handler) or _is_cores(handler)
