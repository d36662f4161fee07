# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run with a tree in flight, its guardian, and the lease that its task holds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.triggers import INT

from . import guardian

#: The play of a scene without another.
PLAY = Play([tasks.grow()], options={"kill_timeout": 1})


@dataclass(frozen=True)
class Scene:
    """A run that only an interruption may disturb."""

    lab: Lab
    host: Host
    run: Run
    socket: Path
    guardian: ProcessId

    @property
    def lease(self) -> str:
        """Id of the lease that is held for the task.

        Every process of the tree has it in its environment.
        """

        def cookies() -> set[str]:
            return {
                (process.environ or {}).get("TREEKILL", "")
                for process in self.host.processes(f"tk-setsid-{self.run.row}")
            } - {""}

        return (
            until(cookies, 10, lambda: f"no process of the tree has a cookie\n{self.run.story}")
            .pop()
            .split("/")[1]
        )

    def is_served(self) -> bool:
        """Whether the run goes on, its guardian is the first one, and grants leases."""
        return (
            self.run.process.poll() is None
            and self.guardian.alive()
            and guardian.answers(self.socket)
        )

    def interrupt_and_see_all_end(self) -> None:
        """Interrupt it, and assert that all of it ends.

        Main ends as it should, no process is alive on the host, the recap has that, and nothing is
        left here.
        """
        INT.fire(self.run, self.lab)
        assert self.run.wait(60) == INT.status, self.run.story
        tasks.wait_until_gone(self.run, [self.host])
        assert re.search(
            rf"^{self.host.name} +: ended [1-9]\d* .*survivors 0", self.run.errors, re.MULTILINE
        ), self.run.story
        tasks.wait_until_nothing_is_left(self.run)


@contextlib.contextmanager
def in_flight(lab: Lab, host: Host, play: Play = PLAY) -> Iterator[Scene]:
    """Start the play on the host, and wait until its tree runs."""
    with started(lab, replace(play, hosts=[host.name])) as run:
        tasks.wait_for_tree(run, [host])
        yield Scene(lab, host, run, guardian.socket_of(run), guardian.guardian_of(run))
