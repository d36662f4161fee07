# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run shares its connection with others, and the connection leads through a proxy.

ssh leaves the proxy below the client that has made the connection. That client ends with its run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hosts import Lab
from tests.support.run import gate
from tests.support.run.play import Setting
from tests.support.run.relays import shared, through_relay
from tests.support.run.run import started
from tests.support.run.waiting import until
from tests.support.trees import census
from tests.support.trees.triggers import INT, KILL, TERM, Trigger


@pytest.mark.parametrize("trigger", [INT, TERM, KILL], ids=lambda trigger: trigger.name)
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "tty"])
def test_the_connection_of_others_outlives_the_run_that_made_it(
    tidy_lab: Lab, tmp_path: Path, trigger: Trigger, pipelining: bool
) -> None:
    host = tidy_lab["web1"]
    known = frozenset(process.id for process in host.processes())
    setting = Setting(
        hosts=1, pipelining=pipelining, variables={host.name: through_relay(tmp_path)}
    )
    with started(tidy_lab, setting, collection=True, script=gate.script) as run:
        gate.wait_at(run, host)
        with shared(run) as others:
            known |= {one.id for one in host.processes() if one.command == "cat"}
            trigger.fire(run, tidy_lab)
            assert others.answers(), run.story
            assert run.wait(60) == trigger.status, run.story
            until(
                lambda: not census.of_tree(host, known),
                20,
                lambda: f"alive: {census.of_tree(host, known)}\n{run.story}",
            )
            assert others.answers(), run.story
