# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that become another user by machinectl or run0.

systemd starts their commands: as children of pid 1, in a session of their own, on a terminal of
their own. The program that asks for it only copies what goes in and out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.support.hosts import HostsError, Lab
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.trees import tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.census import wait_for_tree
from tests.support.trees.pulses import GRACE, wait_for_pulse
from tests.support.trees.rows import SLACK, When, play_row
from tests.support.trees.table import (
    Row,
    Took,
    assert_nothing_survived,
    becoming,
    nothing_survives,
    rest,
    rows,
)
from tests.support.trees.triggers import INT, KILL, LOST_CONTROLLER, TIMEOUT, Trigger

pytestmark = rest  # The tree of these hosts is another one than that of all others.

#: The release has run0, which came with systemd 256.
SUITE = "trixie"

#: Lets `ansible` become any user by either of them, without a password.
_RULE = """
polkit.addRule(function(action, subject) {
    var ids = ["org.freedesktop.machine1.host-shell", "org.freedesktop.systemd1.manage-units"];
    if (ids.indexOf(action.id) >= 0 && subject.user == "ansible") return polkit.Result.YES;
});
"""


@pytest.fixture(scope="module")
def systemd_lab(collections: None) -> Iterator[Lab]:
    """Two hosts with systemd, machined and polkit."""
    try:
        lab = lab_or_skip(2, base=SUITE, systemd=True, packages=("systemd-container", "polkitd"))
    except HostsError as reason:
        pytest.skip(f"no host with systemd: {reason}")
    with lab as two:
        for host in two:
            rules = host.root / "etc/polkit-1/rules.d"
            rules.mkdir(parents=True, exist_ok=True)
            (rules / "60-tests.rules").write_text(_RULE)
        yield two


@pytest.fixture
def among(systemd_lab: Lab, companies: Companies) -> Company:
    """Bystanders on them."""
    return companies.on(systemd_lab)


#: Core wants to see in its configuration that ssh asks for a terminal. Variables come too late.
_TERMINAL = {"ssh_extra_args": "-tt"}


def _rows(become: str) -> Iterator[Row]:
    for trigger in (INT, KILL, TIMEOUT, LOST_CONTROLLER):
        yield becoming(trigger, f"root, by {become}", hosts=1, ssh=_TERMINAL)
    for trigger in (INT, KILL, TIMEOUT, LOST_CONTROLLER):
        yield becoming(trigger, f"another user, by {become}", hosts=1, ssh=_TERMINAL)


@rows(*_rows("machinectl"), *_rows("run0"))
def test_nothing_survives(among: Company, row: Row, took: Took) -> None:
    """The pass comes by one more session, and sees what systemd has started."""
    nothing_survives(among, row, took)


POLLED = {"async": 3600, "poll": 1}

#: By the trigger, what is waited for before it, and how long a host may take to notice it.
_ENDS: Mapping[str, tuple[Trigger, When, float]] = {
    "interrupt": (INT, wait_for_tree, 0.0),
    "the controller is lost": (LOST_CONTROLLER, wait_for_pulse, GRACE),
}


@pytest.mark.parametrize("end", _ENDS)
@pytest.mark.parametrize("method", ["machinectl", "run0"])
@pytest.mark.parametrize("user", ["root", "another user"])
def test_nothing_survives_of_a_job_that_is_polled(
    among: Company, user: str, method: str, end: str, took: Took
) -> None:
    """systemd has started it, so it stands below no ssh server. Its supervisor asks the pulse."""
    trigger, when, notices = _ENDS[end]
    setting = Setting(
        hosts=1,
        become=f"{user}, by {method}",
        ssh=_TERMINAL,
        kinds=tree.FULL if user == "root" else tree.WITHOUT_SUDO,
        keywords=POLLED,
    )
    outcome = play_row(
        among, setting, trigger, when=when, patience=notices + setting.kill_timeout + SLACK
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, trigger)


# The controls.


@pytest.mark.parametrize("method", ["machinectl", "run0"])
def test_without_a_pulse_a_job_survives_the_loss_of_the_controller(
    among: Company, method: str
) -> None:
    """systemd does not end it."""
    setting = Setting(
        hosts=1,
        become=f"root, by {method}",
        ssh=_TERMINAL,
        kinds=tree.COOPERATIVE,
        keywords=POLLED,
        options={"on_disconnect": "keep"},
    )
    outcome = play_row(among, setting, LOST_CONTROLLER, patience=GRACE)
    assert outcome.alive >= {*tree.COOPERATIVE}, outcome.story


@pytest.mark.parametrize("become", ["root, by machinectl", "root, by run0"])
def test_without_the_collection_the_tree_survives(systemd_lab: Lab, become: str) -> None:
    """A process that ignores the end of its terminal lives on."""
    remains = play_control(systemd_lab, Setting(hosts=1, become=become, ssh=_TERMINAL), KILL)
    assert remains.survivors >= {*tree.DAEMONS}, remains.story
