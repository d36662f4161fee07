# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run with `run_always`: whether it goes on after an interruption, and what comes of that.

The signal handler asks. If a host is in a block with `always`, the run is not unwound. Its
workers return failed results, and its play goes on with the `always` sections alone.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import signal
import termios
import threading
import time
import types
import typing as t

from ansible.errors import AnsibleError
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AlwaysOutcome,
    AlwaysState,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import (
    folded,
    natural,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._run.final_report import print_line

if t.TYPE_CHECKING:
    from ansible.executor.process.worker import WorkerProcess
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import AlwaysAnswer
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import (
        InFlight,
        UnguardedTask,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.patch_iterator import (
        AlwaysIterator,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._run.signals import RunSignals

#: Strategies that ask the iterator for each task, and whose failures it decides.
_STRATEGIES = ("linear", "free", "host_pinned")

#: Functions of core in which the main thread waits for an answer from the user. They return only by
#: an exception.
_PROMPTS = ("cmdloop", "_take_step")

_NO_GUARDIAN = "the guardian of the run is gone"

#: Seconds between two looks whether the guardian is gone.
_LOOK_SECONDS = 0.2

_ENDED = "a meta task has ended the play for this host"

_ABANDONED = "the run was interrupted in one of them"

display = Display()


class AlwaysRun:
    """The `always` sections of one run."""

    def __init__(
        self,
        page: RunPage,
        signals: RunSignals,
        *,
        await_trees: t.Callable[[], AlwaysAnswer | None],
        play_hosts: t.Callable[[int], frozenset[str]],
        in_flight: t.Callable[[], InFlight | None],
        is_guardian_gone: t.Callable[[], bool],
        resume_workers: t.Callable[[], None],
    ) -> None:
        """Wait for the first interruption.

        Args:
            page: of the run.
            signals: of the run.
            await_trees: waits for the guardian, which ends the trees in flight.
            play_hosts: returns the hosts of the play for the pid of a worker.
            in_flight: returns the tasks in flight.
            is_guardian_gone: whether there is no guardian.
            resume_workers: resumes the workers that a lost guardian has stopped.
        """
        self._page = page
        self._signals = signals
        self._await_trees = await_trees
        self._play_hosts = play_hosts
        self._in_flight = in_flight
        self._is_guardian_gone = is_guardian_gone
        self._resume_workers = resume_workers
        self._iterator: AlwaysIterator | None = None
        self._manager: TaskQueueManager | None = None
        self._cause = 0
        #: The hosts that were in a block with `always` at the interruption.
        self._hosts: list[str] = []
        #: The hosts that were in an `always` section at the interruption, which abandons it.
        self._abandoned: frozenset[str] = frozenset()
        self._unguarded: dict[UnguardedTask, None] = {}
        #: Whether the run was interrupted, and its trees in flight may be alive.
        self.awaits_trees = False
        #: The hosts that had failed before the interruption.
        self._failed: frozenset[str] = frozenset()
        #: Why no `always` section runs at all.
        self._refusal = ""
        self._warned = False
        self.outcomes: tuple[AlwaysOutcome, ...] = ()

    @property
    def is_on(self) -> bool:
        """Whether the run was interrupted, and goes on to its `always` sections."""
        return self._cause != 0

    def is_handed(self, host: str) -> bool:
        """Whether the task that host gets next belongs to an `always` section that runs now."""
        return self.is_on and self._iterator is not None and host in self._iterator.handed

    def note_begun(self, worker: WorkerProcess) -> None:
        """Note the task of a worker that is about to start."""
        if self._iterator is not None:
            self._iterator.note_begun(worker._host.name, worker._task)

    # The plays.

    def begin_play(self, iterator: AlwaysIterator, manager: TaskQueueManager) -> None:
        """Take the iterator of the play that begins."""
        self._iterator, self._manager = iterator, manager
        if self._strategy and not self._warned:
            self._warned = True
            display.warning(
                f"treekill.remote: run_always has no effect with the strategy {self._strategy}."
                f" It works with {', '.join(_STRATEGIES)}."
            )

    @property
    def _strategy(self) -> str:
        """The strategy of the play if it is not supported; otherwise empty."""
        if self._iterator is None:
            return ""
        name = str(self._iterator.play.strategy)
        return "" if name.removeprefix("ansible.builtin.") in _STRATEGIES else name

    def end_play(self) -> BaseException | None:
        """Return the exception with which an interrupted play ends. No further play begins."""
        self.awaits_trees = False
        if self._iterator is not None:
            hosts = sorted({*self._hosts, *self._abandoned}, key=natural)
            self.outcomes = tuple(map(self._outcome, hosts))
        self._iterator = self._manager = None
        return self._signals.stop_going_on()

    def _outcome(self, host: str) -> AlwaysOutcome:
        if host not in self._hosts:
            return AlwaysOutcome(host, AlwaysState.INTERRUPTED, _ABANDONED)
        iterator = self._iterator
        end = "the run was interrupted again" if self._signals.received else "the play has ended"
        lost = self._manager is not None and host in self._manager._unreachable_hosts
        if self._refusal or iterator is None or host in iterator.left_out:
            reason = self._refusal or (iterator.left_out[host] if iterator is not None else end)
            state = AlwaysState.NOT_RUN
        elif host not in iterator.handed and iterator.has_left(host):
            state, reason = AlwaysState.NOT_RUN, end
        elif lost or iterator.has_failed(host):
            state = AlwaysState.FAILED
            reason = "the host can't be reached" if lost else "a task of them failed"
        elif host not in iterator.handed:
            state, reason = AlwaysState.NOT_RUN, _ENDED if host in iterator.ended else end
        elif host in iterator.ended:
            state, reason = AlwaysState.INTERRUPTED, _ENDED
        elif iterator.has_left(host):
            state, reason = AlwaysState.INTERRUPTED, end
        elif host in self._abandoned:
            state, reason = AlwaysState.INTERRUPTED, _ABANDONED
        else:
            state, reason = AlwaysState.RAN, ""
        return AlwaysOutcome(host, state, reason)

    # The interruption.

    def goes_on(self, number: int, frame: types.FrameType | None) -> bool:
        """Whether the run goes on after this signal. The signal handler calls it."""
        if self._iterator is None or self.is_on:
            return False
        self._note_hosts(self._iterator)
        if not self._hosts:
            return False
        self._refusal = self._reason_against(frame)
        if self._refusal:
            return False
        self.awaits_trees = True
        self.note_unguarded()
        if self._manager is not None:
            self._failed = frozenset(self._manager._failed_hosts)
        self._cause = number
        _leave_dead_terminal()
        self._page.run_always(number)
        return True

    def _note_hosts(self, iterator: AlwaysIterator) -> None:
        lost = self._manager._unreachable_hosts if self._manager is not None else {}
        in_flight = self._in_flight()
        running = in_flight.hosts if in_flight is not None else frozenset()
        self._hosts = [host for host in iterator.hosts_in_blocks() if host not in lost]
        self._abandoned = frozenset(iterator.hosts_in_sections(running)) - {*lost}

    def begin(self) -> None:
        """Say that the run goes on, and watch the guardian. The signal handler calls it."""
        # A handler prints nothing: the signal may have interrupted a print.
        for work in (self._announce, self._watch_guardian):
            # At the limit of threads, the run goes on without the line or the watch.
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=work, daemon=True).start()

    def give_up(self, reason: str) -> None:
        """Run no section, for this reason. The signal handler calls it."""
        if self._iterator is not None and not self._hosts:
            self._note_hosts(self._iterator)
        self._refusal = reason
        self._cause, self.awaits_trees = 0, False
        self._page.run_always(0)

    def _watch_guardian(self) -> None:
        """Unwind the run if the guardian is lost before the trees are gone.

        No other process would end them, or the tasks of the workers that are stopped.
        """
        while self.awaits_trees:
            if self._is_guardian_gone():
                self._refusal = _NO_GUARDIAN
                self._resume_workers()
                self._signals.unwind()
                return
            time.sleep(_LOOK_SECONDS)

    def _reason_against(self, frame: types.FrameType | None) -> str:
        if self._is_guardian_gone():
            return _NO_GUARDIAN
        if self._strategy:
            return f"the strategy {self._strategy} is not supported"
        in_flight = self._in_flight()
        if in_flight is not None and any(
            action.rpartition(".")[2] == "pause" for action in in_flight.actions
        ):
            return "a pause was waiting for its end"
        # Below core's loop over the tasks there may be the prompt of a console.
        loop = inspect.unwrap(TaskQueueManager.run).__code__
        while frame is not None and frame.f_code is not loop:
            if frame.f_code.co_name in _PROMPTS:
                return "a question to the user was open"
            frame = frame.f_back
        return ""

    def _announce(self) -> None:
        hosts = folded(sorted(self._hosts, key=natural))
        print_line(
            f"interrupted ({signal.Signals(self._cause).name}). What is running is ended first."
            f" Then the always sections of {hosts} run. Press Ctrl-C again to end them too."
        )

    def forget_failures(self) -> None:
        """Let core count no host as failed because of the interruption.

        With `any_errors_fatal` it counts all hosts.
        """
        if self._manager is not None:
            for host in {*self._manager._failed_hosts} - self._failed:
                del self._manager._failed_hosts[host]

    def check_workers(self) -> None:
        """Raise AnsibleError if a worker was killed: its result never comes.

        The linear strategy does so itself. The free one would wait for ever.
        """
        if self._manager is not None and self._manager.has_dead_workers():
            raise AnsibleError("A worker was found in a dead state")

    def await_trees(self) -> dict[str, str]:
        """Wait until the trees in flight are gone.

        Returns:
            Host to the reason why its `always` sections must not run.
        """
        answer = self._await_trees()
        self.note_unguarded()
        self.awaits_trees = False
        if answer is None or not answer.granted:
            reason = _NO_GUARDIAN if answer is None else "the run was interrupted again"
            return dict.fromkeys(self._hosts, reason)
        left_out: dict[str, str] = {}
        for one in self.unguarded:
            for host in self._hosts_of(one):
                left_out[host] = f"its task is not guarded ({one.reason})"
        for tree in answer.unconfirmed:
            # Without a known worker, the tree may be one of any host.
            for host in {tree.host, *(self._play_hosts(tree.worker) or self._hosts)} - {""}:
                left_out[host] = tree.reason
        return left_out

    def _hosts_of(self, one: UnguardedTask) -> set[str]:
        """Return the hosts on which the task may run something, and its host of the play."""
        if "{" in one.delegate_to:
            return {one.host, *self._hosts}  # it is not known where the task runs
        return {one.host, *([one.delegate_to] if one.delegate_to else [])}

    def note_unguarded(self) -> None:
        """Note the tasks in flight without a lease, until the trees are gone.

        Core's failed results make the tasks look as if they were over.
        """
        in_flight = self._in_flight()
        if self.awaits_trees and in_flight is not None:
            self._unguarded.update(dict.fromkeys(in_flight.unguarded()))

    @property
    def unguarded(self) -> list[UnguardedTask]:
        """The tasks that were in flight without a lease when the run was interrupted."""
        return [*self._unguarded]


def _leave_dead_terminal() -> None:
    """Write to no terminal that was hung up.

    A write to it fails, which would end the play before its `always` sections. SIGHUP mostly means
    that the terminal is gone.
    """
    for descriptor in (1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
