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
import os
import typing as t
import weakref

from ansible.executor.process.worker import WorkerProcess
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import Fork, forking
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    identify,
    resume_tree,
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
        self._main = os.getpid()

    def __enter__(self) -> None:
        # A worker of an `always` section that writes without the lock could cut a message in two.
        is_main = os.getpid() == self._main
        self._held = self._lock.acquire(timeout=_LOCK_SECONDS if is_main else None)

    def __exit__(self, *error: object) -> None:
        if self._held:
            self._lock.release()


class OwnWorkers:
    """The workers that core starts before `forget`."""

    def __init__(
        self, starting: t.Callable[[WorkerProcess], None], started: t.Callable[[], None]
    ) -> None:
        """Patch core's start of workers.

        Args:
            starting: called in this process with each worker, before its fork.
            started: called in this process after the start of each worker.
        """
        # Weak: a worker holds the variables of its task.
        workers: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()
        #: The hosts of the play for each pid. Core forgets a worker that has ended, while the tree
        #: of its task may be alive. A pid may be used again.
        hosts: dict[int, set[str]] = {}
        original: t.Callable[[WorkerProcess], None] = WorkerProcess.start

        @functools.wraps(original)
        def start(self: WorkerProcess) -> None:
            starting(self)
            # From its fork on, an interruption needs to know it: see `expect_deaths`.
            workers.add(self)
            try:
                with forking(Fork.WORKER):
                    original(self)
            finally:
                if self.pid:
                    hosts.setdefault(self.pid, set()).add(self._host.name)
            started()

        self._workers, self._original, self._start = workers, original, start
        self._hosts = hosts
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

    def play_hosts(self, pid: int) -> frozenset[str]:
        """Return the hosts of the play for the pid of a worker, which may have ended.

        The task of the worker may be delegated to another host. Empty for the pid of no worker.
        """
        return frozenset(self._hosts.get(pid, ()))

    def resume(self) -> None:
        """Resume the workers that a guardian has stopped, and their descendants."""
        for worker in self._alive():
            with contextlib.suppress(ProcessLookupError):
                resume_tree(identify(t.cast(int, worker.pid)))

    def kill(self) -> None:
        """Send SIGKILL to the workers that are alive, and to no process below them.

        A stopped worker has a kill order in progress, which needs the worker's client.
        """
        for worker in self._alive():
            worker.kill()

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if _is_alive(worker)]


def _is_alive(worker: WorkerProcess) -> bool:
    try:
        return bool(worker.is_alive())
    except ValueError:
        return False  # core has closed it, which it does with those that have ended
