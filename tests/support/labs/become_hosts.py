# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts for tasks that become another user.

root has a password for su, doas is set up, and sudo's `use_pty` differs from host to host.
"""

from __future__ import annotations

import pytest

from tests.support.hosts import PASSWORD, Lab

#: sudo is then between a command and its channel: it copies what the command writes.
_LOGS = "Defaults log_input, log_output\n"

_DOAS = "permit nopass ansible\npermit secret\n"


def prepare(lab: Lab) -> None:
    """Set them up, and assert that they are."""
    for host, use_pty in zip(lab, ("use_pty", "!use_pty"), strict=True):
        rule = host.root / "etc/sudoers.d/terminal"
        rule.write_text(f"Defaults {use_pty}\n")
        rule.chmod(0o440)
        doas = host.root / "etc/doas.conf"
        doas.write_text(_DOAS)
        doas.chmod(0o400)
        host.run(["chpasswd"], stdin=f"root:{PASSWORD}\n")
        # In a terminal of sudo's own, the command has another terminal than sudo.
        terminals = set(host.ssh("tty; sudo -n tty", options=["-tt"]).stdout.split())
        assert len(terminals) == (2 if use_pty == "use_pty" else 1), (
            f"{host.name}: {use_pty}, and {terminals}"
        )


def log_all(lab: Lab) -> None:
    """Let sudo log what commands read and write.

    Assert that sudo is then between a command and its channel.
    """
    for host in lab:
        rule = host.root / "etc/sudoers.d/logs"
        rule.write_text(_LOGS)
        rule.chmod(0o440)
        pipes = host.ssh(
            "readlink /proc/self/fd/1; sudo -n readlink /proc/self/fd/1"
        ).stdout.split()
        assert len(set(pipes)) == 2, f"{host.name}: sudo gives its command its own output: {pipes}"


def skip_without_doas(lab: Lab) -> None:
    """Skip a test on hosts whose files are not those of a Debian tree."""
    if not (lab["web1"].root / "usr/bin/doas").exists():
        pytest.skip(
            "the hosts have no doas: its package, opendoas, is in the Debian tree only, and this "
            "lab could not have one"
        )
