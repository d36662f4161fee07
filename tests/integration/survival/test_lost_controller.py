# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole controller is gone at once, guardian and ControlMaster with it.

Each host ends its tree by itself.
"""

from __future__ import annotations

from tests.support.hosts import Lab
from tests.support.run import gate
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.run.run import started
from tests.support.run.waiting import until
from tests.support.trees import census, tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import Row, Took, assert_nothing_survived, nothing_survives, rows
from tests.support.trees.triggers import LOST_CONTROLLER

#: Seconds for which a supervisor keeps its report if couriers try only once.
REPORT_SECONDS = 30.0


@rows(
    Row(LOST_CONTROLLER, Setting(hosts=2)),
    Row(LOST_CONTROLLER, Setting(pipelining=True)),
    Row(LOST_CONTROLLER, Setting(hosts=1, become="root, no password")),
    Row(
        LOST_CONTROLLER,
        Setting(hosts=1, become="another user", pipelining=True, kinds=tree.WITHOUT_SUDO),
    ),
)
def test_nothing_survives(among: Company, row: Row, took: Took) -> None:
    """Its container was removed: the connections close, and no kill pass comes."""
    nothing_survives(among, row, took)


def test_what_is_to_be_spared_lives_on(among: Company, took: Took) -> None:
    """TREEKILL=spare holds for the supervisor as for the guardian."""
    setting = Setting(hosts=1, pipelining=True, kinds=(*tree.COOPERATIVE, "spared"))
    outcome = play_row(among, setting, LOST_CONTROLLER, but=frozenset({"spared"}))
    took(outcome.seconds)
    assert_nothing_survived(outcome, LOST_CONTROLLER, but=frozenset({"spared"}))


def test_a_report_that_is_not_fetched_is_not_kept_for_ever(tidy_lab: Lab) -> None:
    """For some seconds a process of the supervisor waits for a kill pass that asks.

    Then nothing of the collection is left there.
    """
    host = tidy_lab["web1"]
    known = frozenset(process.id for process in host.processes())
    with started(
        tidy_lab,
        Setting(hosts=1, options={"kill_retry_for": 0}),
        collection=True,
        before=LOST_CONTROLLER.before,
        script=gate.script,
    ) as run:
        gate.wait_at(run, host)
        LOST_CONTROLLER.fire(run, tidy_lab)
        until(
            lambda: host.processes(f"^{census.REPORT}"),
            10,
            lambda: f"no process keeps a report\n{run.story}",
        )
        until(
            lambda: not census.newcomers(host, known),
            REPORT_SECONDS + 5,
            lambda: f"still there: {census.newcomers(host, known)}",
        )


# The controls.


def test_without_a_supervisor_the_tree_survives(among: Company) -> None:
    """The guardian, which held the leases, is gone too."""
    setting = Setting(hosts=1, pipelining=True, supervise=False, kinds=tree.COOPERATIVE)
    outcome = play_row(among, setting, LOST_CONTROLLER, patience=2)
    assert outcome.alive >= {*tree.COOPERATIVE}, outcome.story


def test_without_the_collection_the_tree_survives(lab: Lab) -> None:
    """So it is everywhere today."""
    remains = play_control(
        lab, Setting(hosts=1, pipelining=True, kinds=tree.COOPERATIVE), LOST_CONTROLLER, "R"
    )
    assert remains.survivors >= {*tree.COOPERATIVE}, remains.story
