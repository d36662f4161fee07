# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of the tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs import become_hosts, watchful_hosts
from tests.support.labs.lab_or_skip import lab_or_skip

from . import jobs


@pytest.fixture(scope="session")
def grace_lab() -> Iterator[Lab]:
    """Two hosts where accounts become each other in all ways.

    The first has `use_pty` of sudo's, the second does not.
    """
    with lab_or_skip(2) as two:
        become_hosts.prepare(two)
        watchful_hosts.prepare(two)
        for host in two:
            jobs.put_on(host)
        yield two
