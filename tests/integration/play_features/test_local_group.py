# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signal to the whole process group of a run whose tree runs on the controller.

Before ansible-core 2.19 it reaches the tree as well.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts import Lab, ProcessId
from tests.support.run import tasks
from tests.support.run.playing import started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import tree
from tests.support.trees.triggers import INT, TERM, Trigger

from .feature import HERE, Feature, assert_over

KINDS = (*tree.COOPERATIVE, "setsid-cleared", "daemon-cleared", "daemon-python", "daemon-perl")

FEATURE = Feature(
    "connection local", [tasks.grow()], grows_on=(HERE,), keywords={"connection": "local"}
)


def _group(number: signal.Signals) -> Trigger:
    usual = INT if number == signal.SIGINT else TERM
    return dataclasses.replace(
        usual,
        name=f"{number.name} to the group",
        fire=lambda run, lab: os.killpg(run.process.pid, number),
    )


def labelled(run: Run) -> Iterator[tuple[str, ProcessId]]:
    """Return (kind, process) of the tree on this machine, also if they show no environment."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = (
                Path(f"/proc/{name}/cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode(errors="replace")
            )
            kind = tree.label_of(words, run.row)
            if kind is not None:
                yield kind, ProcessId.of(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended


@pytest.mark.parametrize(
    "trigger",
    [_group(signal.SIGINT), _group(signal.SIGTERM)],
    ids=lambda trigger: str(trigger.name),
)
def test_nothing_of_it_survives(lab: Lab, trigger: Trigger) -> None:
    """Processes that have left their parents, and have cleared their environment, end too."""
    with started(lab, dataclasses.replace(FEATURE.play(), kinds=KINDS)) as run:
        try:
            until(
                lambda: {kind for kind, dummy in labelled(run)} >= {*KINDS},
                40,
                lambda: f"there is only {[*labelled(run)]}\n{run.story}",
            )
            trigger.fire(run, lab)
            assert_over(run, lab, FEATURE, trigger)
            assert not [*labelled(run)], run.story
            assert re.search(r": ended [1-9]\d* .*survivors 0", run.errors), run.story
        finally:
            for dummy, process in labelled(run):
                process.kill()
            shutil.rmtree(tree.READY.format(row=run.row), ignore_errors=True)
