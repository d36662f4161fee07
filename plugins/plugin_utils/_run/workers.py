# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workers of a guarded run, told apart from all other forks of its main process.

This file is private to the collection treekill.remote.

Other plugins fork, and a program that uses Ansible as a library has children of its own: none of these is ended with the run.
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


class OwnWorkers:
    """The workers that core starts from here to `forget`."""

    def __init__(self, started: t.Callable[[], None]) -> None:
        """Watch core start workers.

        Args:
            started: called in this process when one has been started.
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
        """Watch no longer."""
        # Where another plugin has put its own around ours, ours stays and does no harm.
        if WorkerProcess.start is self._start:
            WorkerProcess.start = self._original  # type: ignore[assignment, method-assign]

    @property
    def share_our_group(self) -> bool:
        """Whether they stay in the process group of this process, where the signals of a terminal come. Before ansible-core 2.19 they do."""
        return not hasattr(WorkerProcess, "_term")

    def wake(self) -> None:
        """Let the workers go on that a guardian has stopped, and what is below them."""
        for worker in self._alive():
            with contextlib.suppress(ProcessLookupError):
                wake_tree(identify(t.cast(int, worker.pid)))

    def kill(self) -> None:
        """SIGKILL those that are alive. One that was too slow to end what it has started here, as core has it, leaves that to this process.

        A worker that is stopped has a kill order under way, which needs its client.
        """
        for worker in self._alive():
            worker.kill()

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.is_alive()]
