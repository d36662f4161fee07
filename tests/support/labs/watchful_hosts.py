# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts whose sshd notices that a client is gone."""

from __future__ import annotations

from tests.support.hosts import Lab

#: Seconds that an sshd waits before it asks a silent client, and how often it asks one that does
#: not answer.
CLIENT_ALIVE_INTERVAL, CLIENT_ALIVE_COUNT_MAX = 1, 2


def prepare(lab: Lab) -> None:
    """Set them up."""
    for host in lab:
        with open(host.root / "etc/ssh/sshd_config", "a") as config:
            config.write(
                f"ClientAliveInterval {CLIENT_ALIVE_INTERVAL}\n"
                f"ClientAliveCountMax {CLIENT_ALIVE_COUNT_MAX}\n"
            )
        host.reset()  # with a new sshd
