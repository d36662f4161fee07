# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workers of this process, which core also closes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._run.workers import OwnWorkers


@pytest.fixture
def workers() -> Iterator[OwnWorkers]:
    made = OwnWorkers(starting=lambda worker: None, started=lambda: None)
    yield made
    made.forget()


def test_a_worker_that_core_has_closed_is_passed_over(workers: OwnWorkers) -> None:
    """A callback that raises an exception keeps such a worker in memory.

    The control: a worker beside it is killed.
    """
    context = multiprocessing.get_context("fork")
    closed = context.Process(target=int)
    closed.start()
    closed.join()
    closed.close()
    alive = context.Process(target=time.sleep, args=(60,))
    alive.start()
    for worker in (closed, alive):
        workers._workers.add(worker)
    workers.resume()
    workers.kill()
    alive.join(10)
    assert alive.exitcode == -9
