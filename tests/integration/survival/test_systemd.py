# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts whose pid 1 is systemd.

When a session ends, logind leaves its processes alone on the first of two hosts. On the second it
ends them as well.

systemd itself starts some processes for a task (`systemd-run` without `--scope`). Such a process is
systemd's: it was never below the task, and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.support.hosts import Host, HostProcess, HostsError, Lab, ProcessId
from tests.support.labs import systemd_hosts
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run import play
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import until
from tests.support.trees import census, tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import (
    Row,
    Took,
    assert_nothing_survived,
    becoming,
    nothing_survives,
    rest,
    shows,
)
from tests.support.trees.triggers import INT, KILL, LOST_CLIENT, LOST_CONTROLLER, TIMEOUT

pytestmark = rest  # The tree of these hosts is another one than that of all others.

SUBJECTS = ("systemd, KillUserProcesses=no", "systemd, KillUserProcesses=yes")


@pytest.fixture(scope="module")
def systemd_lab(orderly_end: None) -> Iterator[Lab]:
    """Two hosts with systemd."""
    try:
        lab = lab_or_skip(2, systemd=True)
    except HostsError as reason:
        pytest.skip(f"no host with systemd: {reason}")
    with lab as two:
        systemd_hosts.prepare(two)
        yield two


@pytest.fixture
def among_units(systemd_lab: Lab, companies: Companies) -> Company:
    """Bystanders on them, services among them."""
    company = companies.on(systemd_lab)
    if "a service of the system" not in company.members["web1"]:
        systemd_hosts.add_units(company)
    return company


ROWS = (
    becoming(INT),
    becoming(INT, "root, no password", pipelining=True),
    becoming(INT, "another user"),
    becoming(KILL, pipelining=True),
    becoming(KILL, "root, no password"),
    becoming(KILL, "another user", pipelining=True),
    becoming(TIMEOUT),
    becoming(TIMEOUT, "root, no password", pipelining=True),
    becoming(LOST_CLIENT, pipelining=True),
)

#: The sessions end. If logind ends their processes, it signals the supervisor as well.
SESSION_ENDS = (
    becoming(LOST_CONTROLLER),
    becoming(LOST_CONTROLLER, pipelining=True),
    becoming(LOST_CONTROLLER, "root, no password", pipelining=True),
    becoming(LOST_CONTROLLER, "another user", pipelining=True),
    becoming(LOST_CONTROLLER, pipelining=True, kinds=(*tree.FULL, *tree.SCOPES)),
)

#: What logind ends then is not the collection's matter: the first task's daemon, if the user that
#: has logged in has started it.
OF_LOGIND = "a daemon of an earlier task on web2"


def params(rows: tuple[Row, ...]) -> list[object]:
    """Return each of them with what it shows."""
    return [
        pytest.param(row, id=row.name, marks=shows(row.trigger, "Targets", *SUBJECTS))
        for row in rows
    ]


@pytest.mark.parametrize("row", params(ROWS))
def test_nothing_survives(among_units: Company, row: Row, took: Took) -> None:
    """logind has no part in it."""
    nothing_survives(among_units, row, took)


@pytest.mark.parametrize("row", params(SESSION_ENDS))
def test_nothing_survives_the_end_of_its_session(
    among_units: Company, row: Row, took: Took
) -> None:
    """Both sshd and logind report it.

    logind ends what a task has left on purpose if it is set so, as it does without the collection.
    """
    outcome = play_row(among_units, row.setting, row.trigger)
    took(outcome.seconds)
    assert outcome.dead == [OF_LOGIND], outcome.story
    outcome.dead.remove(OF_LOGIND)
    assert_nothing_survived(outcome, row.trigger)


@pytest.mark.parametrize(
    "row",
    params(
        (
            becoming(INT, kinds=(*tree.FULL, *tree.SCOPES)),
            becoming(KILL, pipelining=True, kinds=(*tree.FULL, *tree.SCOPES)),
        )
    ),
)
def test_what_a_task_moves_into_a_scope_does_not_survive(
    among_units: Company, row: Row, took: Took
) -> None:
    """It is a child of the task as before."""
    nothing_survives(among_units, row, took)


@pytest.mark.parametrize(
    "row",
    params(
        (becoming(INT), becoming(KILL, "root, no password", pipelining=True), becoming(TIMEOUT))
    ),
)
def test_a_service_that_a_task_had_systemd_start_is_left_alone(
    among_units: Company, row: Row, took: Took
) -> None:
    """It is a service of the user, or of the system."""
    services = tree.SERVICES if row.setting.become == "no" else tree.SERVICES[1:]
    setting = Setting(**{**vars(row.setting), "kinds": (*row.setting.kinds, *services)})
    outcome = play_row(among_units, setting, row.trigger, but=frozenset(services))
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger, but=frozenset(services))


@pytest.mark.parametrize("become", ["no", "root, no password"])
def test_a_service_that_has_the_cookie_by_import_alone_is_left_alone(
    among_units: Company, become: str, took: Took
) -> None:
    """`systemctl import-environment` gives the environment of a task to later units.

    systemd starts all of them with it, whatever asks for that.
    """
    services: list[ProcessId] = []

    def when(run: Run, hosts: Sequence[Host], known: dict[str, frozenset[ProcessId]]) -> None:
        census.wait_for_tree(run, hosts, known)
        for host in hosts:
            for started_by in ("systemd-run --user", "sudo -n systemd-run"):
                # A service with a child: neither of the two may be touched.
                host.ssh(f"{started_by} --quiet bash -c 'sleep 7209 & exec sleep 7209.5'")
            here = until(
                lambda host=host: two_pairs(host),
                20,
                f"not every service runs on {host.name}\n{run.story}",
            )
            imported = [one for one in here if one.environ and "TREEKILL" in one.environ]
            assert len(imported) >= 2, f"nothing was imported\n{run.story}"
            services.extend(one.id for one in here)
            known[host.name] |= {one.id for one in here}

    try:
        outcome = play_row(
            among_units,
            Setting(
                become=become, kinds=(*tree.COOPERATIVE, "daemon-cleared", "imports-environment")
            ),
            INT,
            when=when,
        )
        took(outcome.seconds)
        assert_nothing_survived(outcome, INT)
        assert all(one.alive() for one in services), outcome.story
    finally:
        for host in among_units.hosts:
            host.ssh(
                "systemctl --user unset-environment TREEKILL; sudo -n systemctl unset-environment "
                "TREEKILL"
            )
        for one in services:
            one.kill()


def two_pairs(host: Host) -> list[HostProcess]:
    """Return the processes of both services, once all are there."""
    found = host.processes(r"^(/usr/bin/)?sleep 7209(\.5)?$")
    return found if len(found) == 4 else []


# The controls.


def test_without_the_collection_the_tree_survives(systemd_lab: Lab) -> None:
    """It does so if logind is to end it too: the session lasts as long as a ControlMaster does."""
    remains = play_control(systemd_lab, Setting(pipelining=True), KILL)
    assert remains.survivors >= {*tree.FULL}, remains.story


def test_without_the_collection_logind_ends_what_a_task_has_left(systemd_lab: Lab) -> None:
    """It does so if it is set to, when the session ends. Elsewhere that lives on."""
    with started(
        systemd_lab,
        Setting(pipelining=True, kinds=tree.COOPERATIVE),
        collection=False,
        before=LOST_CONTROLLER.before,
    ) as run:
        census.wait_for_tree(run, [*systemd_lab], {host.name: frozenset() for host in systemd_lab})
        LOST_CONTROLLER.fire(run, systemd_lab)
        daemon = play.earlier_label(run.row)
        until(
            lambda: not systemd_lab["web2"].processes(daemon),
            20,
            f"logind lets it live\n{run.story}",
        )
        assert systemd_lab["web1"].processes(daemon)
    for host in systemd_lab:
        host.reset()
