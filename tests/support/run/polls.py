# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core's polls of an asynchronous job, seen on the host.

What core prints of them stays in its buffer while the run goes on.
"""

from __future__ import annotations

from tests.support.hosts import Host, HostProcess

from .run import Run
from .waiting import until

#: Seconds until the first poll, and from one to the next.
POLL_SECONDS = 40.0


def polls(host: Host) -> list[HostProcess]:
    """Return the processes by which core asks for the status of a job."""
    return list(host.processes(r"async_status"))


def wait_for_poll(run: Run, host: Host) -> None:
    """Return when a poll is running."""
    until(lambda: polls(host), POLL_SECONDS, lambda: f"no poll asks for the job\n{run.story}")


def wait_between_polls(run: Run, host: Host) -> None:
    """Return when a poll has been running, and none is.

    Then the command that started the job has returned.
    """
    wait_for_poll(run, host)
    until(lambda: not polls(host), 10, "a poll always asks for the job")


def wait_for_second_poll(run: Run, host: Host) -> None:
    """Return when one poll has been answered, and another is running."""
    wait_for_poll(run, host)
    first = {process.id for process in polls(host)}
    until(
        lambda: {process.id for process in polls(host)} - first,
        POLL_SECONDS,
        lambda: f"no poll asks again\n{run.story}",
    )
