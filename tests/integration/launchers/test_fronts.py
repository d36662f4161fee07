# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way in which Ansible is started, interrupted in the way of that front end.

No process that its tasks started lives on, and all other processes do.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.integration.survival.test_controls import HUP_PROOF
from tests.integration.survival.test_timeout import LONG, LOOK
from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.run.play import FrontEnd, Setting
from tests.support.run.run import started
from tests.support.trees import census
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import Outcome, play_row, tidy
from tests.support.trees.table import Took, assert_nothing_survived, rest
from tests.support.trees.triggers import Trigger

from . import ends, fronts

_TERM, _KILL, _ALRM = signal.SIGTERM, signal.SIGKILL, signal.SIGALRM


@dataclass(frozen=True)
class Front:
    """A front end, its possible ends, and the status with which it then ends.

    The status is that of such a run without the collection.
    """

    front: FrontEnd
    cancels: tuple[Trigger, ...]
    killed: int | None  #: the status when Ansible's main process was killed
    timed_out: int = 0
    in_every_run: bool = False  #: whether its first cancel is; all others are for --every-row
    controlled: bool = False  #: and the control of it

    def rows(self) -> Iterator[tuple[Trigger, str]]:
        """Return the ends, by their names in the table of what is covered."""
        yield from ((trigger, "interrupt") for trigger in self.cancels)
        yield ends.kill(self.killed), "KILL of main"
        yield ends.timeout(self.timed_out), "timeout"


FRONTS = (
    Front(
        fronts.AD_HOC,
        (replace(ends.INT_TO_MAIN, status=99), ends.CTRL_C),
        -_KILL,
        timed_out=2,
        in_every_run=True,
        controlled=True,
    ),
    Front(
        fronts.CONSOLE,
        (replace(ends.INT_TO_MAIN, status=0), replace(ends.TERM_TO_MAIN, status=-_TERM)),
        -_KILL,
        in_every_run=True,
    ),
    Front(
        fronts.PULL,
        (
            ends.interrupt(
                "INT to ansible-pull", ends.to_front("ansible-pull", signal.SIGINT), 99, recap=False
            ),
            # The recap is printed on the terminal that it was started on, which this row takes
            # away: see test_surroundings.
            replace(ends.CTRL_C, recap=False),
            ends.interrupt(
                "TERM to ansible-pull", ends.to_front("ansible-pull", _TERM), -_TERM, recap=False
            ),
            ends.interrupt(
                "KILL of ansible-pull", ends.to_front("ansible-pull", _KILL), -_KILL, recap=False
            ),
            ends.INT_TO_MAIN,
        ),
        247,
        in_every_run=True,
    ),
    Front(
        fronts.RUNNER,
        (
            ends.interrupt(
                "TERM to ansible-runner", ends.to_front("ansible-runner", _TERM), 254, recap=False
            ),
            ends.interrupt(
                "KILL of ansible-runner",
                ends.to_front("ansible-runner", _KILL),
                -_KILL,
                recap=False,
            ),
        ),
        0,
        in_every_run=True,
        controlled=True,
    ),
    Front(fronts.LIBRARY, (ends.CANCEL_CALLBACK,), 0),
    Front(
        fronts.STREAMED,
        (
            ends.interrupt(
                "TERM to the worker", ends.to_front("ansible-runner worker", _TERM), 0, recap=False
            ),
            ends.interrupt(
                "KILL of the worker", ends.to_front("ansible-runner worker", _KILL), 0, recap=False
            ),
        ),
        0,
    ),
    Front(
        fronts.NAVIGATOR,
        (
            ends.CTRL_C,
            ends.interrupt(
                "TERM to ansible-navigator", ends.to_front("ansible-navigator", _TERM), -_TERM
            ),
            ends.interrupt(
                "KILL of ansible-navigator", ends.to_front("ansible-navigator", _KILL), -_KILL
            ),
        ),
        247,
        in_every_run=True,
    ),
    Front(fronts.NOHUP, (ends.NOHUP,), -_KILL),
    Front(
        fronts.TIMEOUT,
        (ends.interrupt("its time is over", ends.to_front("timeout 600", _ALRM), 124),),
        -_KILL,
    ),
    Front(fronts.TEE, (ends.INT_TO_MAIN, ends.CTRL_C), 137),
    Front(fronts.TEE_BOTH, (replace(ends.CTRL_C, status=120),), 137),
    Front(fronts.CI, (ends.AS_CI, ends.AS_JENKINS), 137, in_every_run=True),
    Front(fronts.CI_EXEC, (ends.AS_GITHUB,), -_KILL),
    Front(fronts.CRON, (ends.TERM_TO_MAIN,), 137),
)


def _setting(front: FrontEnd, trigger: Trigger, **more: Any) -> Setting:
    rescued: dict[str, Any] = (
        {"keywords": LONG, "rescue": [LOOK]} if trigger.name == "timeout" else {}
    )
    return Setting(
        front=front,
        pipelining=True,
        variables={"web1": {"ansible_pipelining": False}},
        **rescued,
        **more,
    )


def _table(controls: bool) -> Iterator[Any]:
    for one in FRONTS:
        for trigger, end in one.rows():
            in_every_run = (
                one.controlled if controls else one.in_every_run
            ) and trigger is one.cancels[0]
            marks = [] if controls else [covers("Front ends", one.front.name, end)]
            yield pytest.param(
                one.front,
                trigger,
                marks=[*marks, *([] if in_every_run else [rest])],
                id=f"{one.front.name}, {trigger.name}",
            )


@pytest.mark.parametrize(("front", "trigger"), [*_table(controls=False)])
def test_nothing_survives(among: Company, front: FrontEnd, trigger: Trigger, took: Took) -> None:
    """One of the two hosts with pipelining, the other with a pty."""
    outcome = play_row(among, _setting(front, trigger), trigger)
    took(outcome.seconds)
    assert_nothing_survived(outcome, replace(trigger, recap=False))
    if trigger.recap:
        assert_recap_seen(outcome)


def assert_recap_seen(outcome: Outcome) -> None:
    """Assert that the user of that front end sees it."""
    text = f"{outcome.output}\n{outcome.errors}"
    # The callback of ansible-runner puts its events between the lines, with no space after them.
    silent = [
        host for host in outcome.hosts if not re.search(rf"{host} +: ended \d+ .*survivors 0", text)
    ]
    assert not silent, f"no line in the recap for {', '.join(silent)}\n{outcome.story}"


@pytest.mark.parametrize(("front", "trigger"), [*_table(controls=True)])
def test_without_the_collection_the_tree_survives(
    shared_lab: Lab, front: FrontEnd, trigger: Trigger
) -> None:
    """The control, and the status with which the front end ends by itself."""
    host = shared_lab["web1"]
    known = {host.name: frozenset(process.id for process in host.processes())}
    setting = Setting(
        front=front,
        hosts=1,
        pipelining=True,
        kinds=tuple(HUP_PROOF),
        keywords=LONG if trigger.name == "timeout" else {},
    )
    with started(shared_lab, setting, collection=False, terminal=trigger.terminal) as run:
        census.wait_for_tree(run, [host], known)
        trigger.fire(run, shared_lab)
        status = run.wait(30)
        found = {
            census.name_of(process, run.row)
            for process in census.survivors([host], known, run.row)[host.name]
        }
        story = run.story
    tidy([host], known)
    assert found >= HUP_PROOF, story
    if trigger.name != "timeout":
        assert status == trigger.status, story
