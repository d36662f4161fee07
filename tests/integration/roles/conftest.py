# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts for the tests of roles: the role is applied to web1, and web2 is the control."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs.clean_lab import web1, web2
from tests.support.labs.lab_or_skip import lab_or_skip

__all__ = ("lab", "web1", "web2")

#: The hosts of a lab come without it; all distributions have it.
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two hosts, up as long as the session. The configuration of sshd includes drop-ins."""
    with lab_or_skip(2) as up:
        for host in up:
            config = host.root / "etc/ssh/sshd_config"
            config.write_text(INCLUDE + config.read_text())
            host.run(["mkdir", "-p", "/etc/ssh/sshd_config.d"])
        yield up


@pytest.fixture(autouse=True)
def _heal(lab: Lab) -> Iterator[None]:
    """Heal the network, in any case: the next test needs it."""
    yield
    for host in lab:
        host.heal()
