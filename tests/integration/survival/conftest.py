# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labs and bystanders for the rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs import watchful_hosts
from tests.support.labs.companies import companies
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.rows import tidy

__all__ = ("companies",)

#: Hosts of the lab for the rows that ask for it.
MANY_HOSTS = 20


@pytest.fixture(scope="session")
def lab(orderly_end: None) -> Iterator[Lab]:
    """Two hosts."""
    with lab_or_skip(2) as two:
        yield two


@pytest.fixture
def tidy_lab(lab: Lab) -> Iterator[Lab]:
    """The two hosts of `lab`. What a test leaves on them is killed."""
    known = {host.name: frozenset(process.id for process in host.processes()) for host in lab}
    yield lab
    tidy([*lab], known)


@pytest.fixture(scope="session")
def large_lab(orderly_end: None) -> Iterator[Lab]:
    """Twenty hosts."""
    with lab_or_skip(MANY_HOSTS) as twenty:
        yield twenty


@pytest.fixture(scope="session")
def watchful_lab(orderly_end: None) -> Iterator[Lab]:
    """Two hosts where sshd notices that a client is gone."""
    with lab_or_skip(2) as two:
        watchful_hosts.prepare(two)
        yield two


@pytest.fixture
def among(lab: Lab, companies: Companies) -> Company:
    """Bystanders on two hosts, a second run among them."""
    return companies.on(lab)


@pytest.fixture
def among_many(large_lab: Lab, companies: Companies) -> Company:
    """Such bystanders on twenty hosts."""
    return companies.on(large_lab)


@pytest.fixture
def among_watchful(watchful_lab: Lab, companies: Companies) -> Iterator[Company]:
    """Bystanders on those, but for a second run: it would lose its network as well."""
    yield companies.on(watchful_lab, second=False)
    for host in watchful_lab:
        host.heal()
