# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with systemd and logind, and units that must live.

They differ in whether logind ends a session's processes with the session.
"""

from __future__ import annotations

from tests.support.hosts import Host, HostProcess, Lab
from tests.support.run.waiting import until
from tests.support.trees.bystanders import Company

_MANAGER = (
    "busctl",
    "get-property",
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
)


def prepare(lab: Lab) -> None:
    """Set `KillUserProcesses` off on the first host, and on on the second.

    Off is what most distributions have. Assert that it is so, and that logins are sessions.
    """
    for host, kill in zip(lab, ("no", "yes"), strict=True):
        directory = host.root / "etc/systemd/logind.conf.d"
        directory.mkdir(parents=True)
        (directory / "kill.conf").write_text(f"[Login]\nKillUserProcesses={kill}\n")
        host.run(["systemctl", "restart", "systemd-logind"])
        said = host.run([*_MANAGER, "KillUserProcesses"]).stdout.split()
        assert said == ["b", "true" if kill == "yes" else "false"], said
        group = host.ssh("cat /proc/self/cgroup").stdout
        assert "/user.slice/" in group, group


def add_units(company: Company) -> None:
    """Add bystanders: a service of the user that logs in, and one of the system.

    They are there as long as this user's sessions are.
    """
    for host in company.hosts:
        host.ssh("systemd-run --user --quiet sleep 7205", account="ansible")
        host.ssh("sudo -n systemd-run --quiet sleep 7206", account="ansible")
        company.members[host.name]["a service of the user's"] = [
            _there(host, "^/usr/bin/sleep 7205$").id
        ]
        company.members[host.name]["a service of the system"] = [
            _there(host, "^/usr/bin/sleep 7206$").id
        ]


def _there(host: Host, match: str) -> HostProcess:
    return until(lambda: host.processes(match), 20, f"{match} does not run on {host.name}")[0]
