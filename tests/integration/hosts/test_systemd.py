# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose pid 1 is systemd.

Logins are sessions, a clean host is made without a boot, and no control group stays behind.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Host, KindUnavailable, Lab, cgroups

from .patience import eventually
from .traces import Traces

pytestmark = pytest.mark.rest  # Their tree is another one than that of all others.


@pytest.fixture
def booted() -> Iterator[Lab]:
    """One such host."""
    try:
        lab = Lab.up(count=1, kind="namespace", systemd=True)
    except KindUnavailable as reason:
        pytest.skip(str(reason))
    with lab:
        yield lab


def group_of(host: Host) -> str:
    """Return where a login is, as version 2 of the control groups has it."""
    lines = host.ssh("cat /proc/self/cgroup").stdout.splitlines()
    return next(line for line in lines if line.startswith("0::"))


def test_logins_are_sessions_and_users_have_units(booted: Lab) -> None:
    host = booted["web1"]
    assert "/session-" in group_of(host)
    host.ssh("systemd-run --user --quiet sleep 7200")
    eventually(lambda: host.processes("sleep 7200"))
    assert not host.processes("systemd|dbus"), "the host's own processes are not recognised"


def test_a_reset_ends_sessions_and_units_and_leaves_systemd_alone(booted: Lab) -> None:
    host = booted["web1"]
    host.ssh(
        "systemd-run --user --quiet sleep 7200; setsid sleep 7201 < /dev/null > /dev/null 2>&1 & "
        "touch /tmp/made"
    )
    host.spawn(["sleep", "7202"])
    before = {one.id for one in host.processes("journald|logind", system=True)}
    host.reset()
    assert not host.processes()
    assert not list((host.root / "tmp").glob("made"))
    assert before <= {one.id for one in host.processes(system=True)}
    assert "/session-" in group_of(host)


def test_it_comes_back_after_power_loss(booted: Lab) -> None:
    host = booted["web1"]
    host.power_off()
    host.boot()
    assert "/session-" in group_of(host)


def test_no_control_group_stays_behind(booted: Lab) -> None:
    group = cgroups.create(booted.spec.id, "web1")
    assert (group / "user.slice").is_dir()
    traces = Traces(booted)
    booted.down()
    assert not group.parent.exists()
    assert not traces.find()
