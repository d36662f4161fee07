# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workers of a guarded run, as distinct from other forks of its main process.

Other plugins fork, and a program that uses Ansible as a library has children of its own. None of
these is ended with the run.
"""

from __future__ import annotations

import contextlib
import functools
import typing as t
import weakref

from ansible.executor.process.worker import WorkerProcess
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import Fork, forking
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    identify,
    wake_tree,
)

if t.TYPE_CHECKING:
    from multiprocessing.synchronize import Lock

#: Seconds to wait for a lock whose holder may have died.
_LOCK_SECONDS = 2.0


class _PatientLock:
    """Core's lock of its queue of results, for the main process of an interrupted run.

    From ansible-core 2.19 on, the signal ends a worker at once, even while it holds this lock. The
    main process puts one last message into the queue, and would wait for the lock for ever.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._held = False

    def __enter__(self) -> None:
        self._held = self._lock.acquire(timeout=_LOCK_SECONDS)

    def __exit__(self, *error: object) -> None:
        if self._held:
            self._lock.release()


class OwnWorkers:
    """The workers that core starts before `forget`."""

    def __init__(self, started: t.Callable[[], None]) -> None:
        """Patch core's start of workers.

        Args:
            started: called in this process after the start of each worker.
        """
        # Weak: a worker holds the variables of its task.
        workers: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()
        original: t.Callable[[WorkerProcess], None] = WorkerProcess.start

        @functools.wraps(original)
        def start(self: WorkerProcess) -> None:
            with forking(Fork.WORKER):
                original(self)
            workers.add(self)
            started()

        self._workers, self._original, self._start = workers, original, start
        WorkerProcess.start = start  # type: ignore[method-assign]

    def forget(self) -> None:
        """Remove the patch."""
        # If another plugin has wrapped the patch, the patch stays and does no harm.
        if WorkerProcess.start is self._start:
            WorkerProcess.start = self._original  # type: ignore[assignment, method-assign]

    def expect_deaths(self) -> None:
        """Keep this process from waiting for ever for a lock of core.

        A dead worker may have held it. Called when the run is interrupted.
        """
        for worker in self._workers:
            queue = vars(worker._final_q)
            if not isinstance(queue["_wlock"], _PatientLock):
                queue["_wlock"] = _PatientLock(queue["_wlock"])

    @property
    def share_our_group(self) -> bool:
        """Whether workers stay in the process group of this process, as before ansible-core 2.19.

        The group gets the signals of a terminal.
        """
        return not hasattr(WorkerProcess, "_term")

    def wake(self) -> None:
        """Resume the workers that a guardian has stopped, and their descendants."""
        for worker in self._alive():
            with contextlib.suppress(ProcessLookupError):
                wake_tree(identify(t.cast(int, worker.pid)))

    def kill(self) -> None:
        """Send SIGKILL to the workers that are alive, and to no process below them.

        A stopped worker has a kill order in progress, which needs the worker's client.
        """
        for worker in self._alive():
            worker.kill()

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.is_alive()]
