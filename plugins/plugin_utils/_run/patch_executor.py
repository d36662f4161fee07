# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The patch of ansible-core that ends the task of a worker, and not the worker, for `run_always`.

The strategy of the play waits for the result of each task. Therefore a worker whose task is ended
by an interruption returns a failed result, as after the `timeout` of a task.

The guardian sends `TASK_SIGNAL` when the tree of the task is gone. The worker can't miss it: it
installs the handler, and then looks whether the run was interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
import types
import typing as t

from ansible.executor.task_executor import TaskExecutor
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
    Interrupted,
    TaskInterrupted,
    current,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import Gate
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import (
    RUN_SIGNALS,
    TASK_SIGNAL,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage

#: Seconds after which the guardian's signal is raised again if the task has not ended. Ctrl-C in a
#: terminal and the guardian's signal come together.
_AGAIN_SECONDS = 0.3

#: The longest time in which the main process decides what a signal of the terminal does. It may be
#: off the processor. If this worker alone got the signal, it ends after that time.
_DECISION_SECONDS = 5.0

#: Attribute of core's executor: a method that is called first, and whose errors become the result.
_FIRST_STEP = "_get_loop_items"


class _Interruptible:
    """Whether the workers that this process forks can end their tasks alone."""

    on = False
    patched = False
    #: Whether the workers are in the process group of the main process, which gets the signals of
    #: a terminal.
    share_group = False


def install(share_group: bool) -> None:
    """Make the tasks of workers that are forked before `uninstall` interruptible.

    `share_group`: whether the workers are in the process group of the main process.
    """
    _Interruptible.on, _Interruptible.share_group = True, share_group
    if _Interruptible.patched:
        return
    _Interruptible.patched = True
    original: t.Callable[[TaskExecutor], t.Any] = TaskExecutor.run

    @functools.wraps(original)
    def run(self: TaskExecutor) -> t.Any:
        if not _Interruptible.on or threading.current_thread() is not threading.main_thread():
            return original(self)
        interruption = TaskInterruption(current().page, self._final_q)
        try:
            with interruption.awaited():
                result = original(self)
        except TaskInterrupted:
            interruption.struck = True
        except Exception:
            # A clean-up of the action on its host, which the closed gate refuses.
            if not interruption.struck:
                raise
        if not interruption.struck:
            return result
        # Core makes the failed result in its own form, which is different in each version.
        vars(self)[_FIRST_STEP] = _refuse
        return original(self)

    TaskExecutor.run = run  # type: ignore[method-assign]


def uninstall() -> None:
    """Leave the tasks of further workers as they are. The patch stays, and does nothing."""
    _Interruptible.on = False


def prepare_worker() -> None:
    """Ignore signals of the terminal in a worker, outside of its task.

    Called right after the fork. The worker looks whether the run was interrupted when it begins its
    task.
    """
    if _Interruptible.on and _Interruptible.share_group:
        for number in (signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, _ignore)


def _ignore(number: int, frame: types.FrameType | None) -> None:
    """Do nothing. A program that this process executes does not inherit the handler."""


def _refuse() -> t.NoReturn:
    raise Interrupted(
        "The task was interrupted with its run. From here on only always sections run."
    )


class TaskInterruption:
    """The interruption of the one task of a worker."""

    def __init__(self, page: RunPage, queue: t.Any) -> None:
        """`queue`: core's queue of results, into which a worker writes during its task too."""
        self._page = page
        self._queue = queue
        #: Whether the task was interrupted.
        self.struck = False
        self._held = 0
        self._over = False
        self._last = 0.0

    @contextlib.contextmanager
    def awaited(self) -> t.Iterator[None]:
        """Raise TaskInterrupted in this block when the run is interrupted."""
        numbers = (TASK_SIGNAL, *(RUN_SIGNALS if _Interruptible.share_group else ()))
        before = {
            number: signal.getsignal(number)
            for number in numbers
            if number == TASK_SIGNAL
            or signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _ignore)
        }
        put = self._queue.put
        vars(self._queue)["put"] = self._uninterrupted(put)
        try:
            for number in before:
                signal.signal(number, self._on_signal)
            self._check()
            yield
        finally:
            # A signal now must not keep a handler of this task installed.
            self._over = True
            for number, handler in before.items():
                signal.signal(number, handler)
            vars(self._queue).pop("put", None)

    def _uninterrupted(self, put: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """Return a `put` that is not cut off: the main process would read half a message."""

        def whole(*args: t.Any, **kwargs: t.Any) -> t.Any:
            self._held += 1
            try:
                return put(*args, **kwargs)
            finally:
                self._held -= 1
                if self.struck and not self._held:
                    self._check()

        return whole

    def _check(self) -> None:
        """Raise TaskInterrupted if the run was interrupted, unless the task is one of `always`."""
        if self._page.gate is not Gate.OPEN and self._page.gate_closed and self._page.runs_always:
            self.struck, self._last = True, time.monotonic()
            raise TaskInterrupted

    def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
        if number != TASK_SIGNAL and not self._is_decided():
            # As without the option.
            if number == signal.SIGINT:
                signal.signal(number, signal.default_int_handler)
                raise KeyboardInterrupt
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if self._over or self._page.for_always or time.monotonic() - self._last < _AGAIN_SECONDS:
            return
        self.struck = True
        if not self._held:
            self._last = time.monotonic()
            raise TaskInterrupted

    def _is_decided(self) -> bool:
        """Whether the main process, which got the same signal, goes on to `always` sections."""
        deadline = time.monotonic() + _DECISION_SECONDS
        main = os.getppid()
        while not self._page.for_always and time.monotonic() < deadline and os.getppid() == main:
            # In this order: the main process decides before the guardian closes the gate.
            is_closed = self._page.gate is not Gate.OPEN
            if self._page.runs_always:
                return True
            if is_closed:
                break
            time.sleep(0.01)
        return False
