# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recap of many hosts. In version 1.0.0 that of 100 hosts without pipelining never came."""

from __future__ import annotations

import re

import pytest

from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.play import Setting
from tests.support.run.run import started
from tests.support.trees import census, tree
from tests.support.trees.triggers import INT

#: Seconds for each host. Controller and hosts share the processors.
SECONDS_FOR_A_HOST = 2.0


@pytest.mark.parametrize(
    ("count", "pipelining"),
    [
        pytest.param(20, False, id="20 hosts, no pipelining"),
        pytest.param(100, False, id="100 hosts, no pipelining", marks=pytest.mark.rest),
        pytest.param(100, True, id="100 hosts, pipelining", marks=pytest.mark.rest),
        pytest.param(200, False, id="200 hosts, no pipelining", marks=pytest.mark.rest),
    ],
)
def test_the_recap_has_a_line_for_each_of_many_hosts(count: int, pipelining: bool) -> None:
    setting = Setting(
        hosts=count,
        forks=count,
        pipelining=pipelining,
        kinds=tree.COOPERATIVE,
        kill_timeout=10,
    )
    with lab_or_skip(count) as lab:
        hosts = [*lab]
        known = {
            name: frozenset(process.id for process in processes)
            for name, processes in lab.processes().items()
        }
        with started(lab, setting, collection=True) as run:
            census.wait_for_tree(run, hosts, known)
            INT.fire(run, lab)
            assert run.wait(30 + SECONDS_FOR_A_HOST * count) == INT.status, run.story
            ended = re.findall(
                r"^(web\d+) +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE
            )
            assert sorted(ended) == sorted(host.name for host in hosts), run.story
            left = census.survivors(hosts, known, run.row)
            # What the first task left on purpose is all that lives.
            names = {census.name_of(one, run.row) for found in left.values() for one in found}
            assert names == {"earlier"}, names
