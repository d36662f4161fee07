# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that run from their end.

One forks and exits every 30 ms. Another forks 200 times a second, with nothing that shows where its
forks come from. One run that wins shows little.
`make integration PYTEST_ARGS="-k test_fleeting --rounds 20"` has to win 20 times.
"""

from __future__ import annotations

from tests.support.run.play import Setting
from tests.support.trees.bystanders import Company
from tests.support.trees.table import Row, Took, nothing_survives, rows
from tests.support.trees.triggers import INT, LOST_CONTROLLER


@rows(
    Row(INT, Setting(hosts=1, kinds=("hops-cleared",)), "hopper"),
    Row(LOST_CONTROLLER, Setting(hosts=1, kinds=("hops-cleared",), pipelining=True), "hopper"),
    Row(INT, Setting(hosts=1, kinds=("storm",), pipelining=True), "storm"),
    Row(LOST_CONTROLLER, Setting(hosts=1, kinds=("storm",)), "storm"),
)
def test_nothing_survives(among: Company, row: Row, took: Took) -> None:
    """The guardian's order ends it, or the supervisor alone does."""
    nothing_survives(among, row, took)
