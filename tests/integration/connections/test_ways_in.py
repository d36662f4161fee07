# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unusual ways to a task: nothing survives an interruption, and nothing else is ended.

Each row has a host of its own. It ends by SIGINT. Or the whole controller is killed, and the host
alone has to act.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest
from ansible.release import __version__

from tests.support.coverage import covers
from tests.support.hosts import Host
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run import tasks
from tests.support.run.playing import started
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees import tree
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT, LOST_CONTROLLER, Trigger

from . import ways
from .ways import WAYS, Way

#: Seconds for which no process may come back, after the last one was seen.
QUIET_SECONDS = 1.0

#: Seconds until the tree stands, on a machine with two busy cores.
READY_SECONDS = 60.0

_CORE = tuple(int(part) for part in __version__.split(".")[:2])

#: Words of the table of what is covered. With the controller its main process is killed.
_ENDS = {INT: "interrupt", LOST_CONTROLLER: "KILL of main"}

#: Rows that differ much from all others.
_ALWAYS = {
    ("session recorder, by script", LOST_CONTROLLER, False),
    ("script around ssh, without exec", INT, False),
    ("no more processes on the host", LOST_CONTROLLER, False),
}


def _rows() -> Iterator[object]:
    for way in WAYS:
        for trigger, pipelining in (
            (INT, False),
            (LOST_CONTROLLER, False),
            (LOST_CONTROLLER, True),
        ):
            if pipelining and not way.pipelining:
                continue
            marks = [covers("Ways to a task", way.name, _ENDS[trigger])]
            if (way.name, trigger, pipelining) not in _ALWAYS:
                marks.append(rest)
            name = f"{way.name}, {trigger.name}, {'pipelining' if pipelining else 'tty'}"
            yield pytest.param(way, trigger, pipelining, marks=marks, id=name)


def wait_for_tree(run: Run, host: Host) -> None:
    """Return when each process of the tree was seen. Its directory on the host may be another."""
    labels = {f"tk-{kind}-{run.row}" for kind in run.setting.kinds if not kind.startswith("hops")}

    def missing() -> set[str]:
        alive = "\n".join(process.command for process in host.processes())
        return {label for label in labels if label not in alive}

    until(
        lambda: run.process.poll() is not None or not missing(),
        READY_SECONDS,
        lambda: f"missing: {missing()}\n{run.story}",
    )
    assert run.process.poll() is None, f"it ended before the tree stood\n{run.story}"


@pytest.mark.parametrize(("way", "trigger", "pipelining"), _rows())
def test_nothing_survives(way: Way, trigger: Trigger, pipelining: bool) -> None:
    ways.skip_if_missing(way)
    if way.older and way.older <= _CORE:
        pytest.skip("this ansible-core refuses an interpreter of several words")
    play = way.make_play(pipelining=pipelining)
    play = dataclasses.replace(play, before=(*trigger.before, *play.before))
    with lab_or_skip(way.hosts) as lab:
        host = lab["web1"]
        for prepare in way.prepare:
            prepare(lab)
        own = [
            host.spawn(tree.NAMESAKE.split(), user="ansible").id,
            host.spawn(["sleep", "7201"], user="root").id,
        ]
        with started(lab, play) as run:
            wait_for_tree(run, host)
            for prepare in way.before_end:
                prepare(lab)
            trigger.fire(run, lab)
            tasks.wait_until_gone(run, [host])
            assert run.wait(tasks.EXIT_SECONDS) == trigger.status, run.story
            stays(
                lambda: not tasks.alive(run, host),
                QUIET_SECONDS,
                f"a process has come back\n{run.story}",
            )
            assert all(process.alive() for process in own), f"a bystander died\n{run.story}"
            if trigger.recap:
                assert re.search(
                    r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE
                ), run.story
