# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of several Debian releases, and hosts with each Python from 3.6 on.

Their sshd, sudo and interpreter make no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.hosts import Lab
from tests.support.labs import target_hosts
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.trees import tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.table import Row, Took, becoming, nothing_survives, rest, shows
from tests.support.trees.triggers import INT, KILL, LOST_CONTROLLER, TIMEOUT
from tools.environment._cores import Version, dotted


class Labs:
    """A lab for each kind of host, made when it is needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._present: dict[object, Lab] = {}

    def of_suite(self, suite: str) -> Lab:
        """Two hosts of that Debian release."""
        if suite not in self._present:
            self._present[suite] = self._stack.enter_context(target_hosts.of_suite(suite))
        return self._present[suite]

    def with_python(self, version: Version) -> Lab:
        """Return a host with that Python."""
        if version not in self._present:
            self._present[version] = self._stack.enter_context(target_hosts.with_python(version))
        return self._present[version]


@pytest.fixture(scope="module")
def labs(orderly_end: None) -> Iterator[Labs]:
    """The labs of this module."""
    with ExitStack() as stack:
        yield Labs(stack)


@pytest.fixture
def among_of_suite(labs: Labs, companies: Companies) -> Callable[[str], Company]:
    """Bystanders on hosts of a Debian release."""
    return lambda suite: companies.on(labs.of_suite(suite))


@pytest.fixture
def among_with_python(labs: Labs, companies: Companies) -> Callable[[Version], Company]:
    """Bystanders on a host with some Python."""
    return lambda version: companies.on(labs.with_python(version))


# Debian. All other rows run on bookworm as well: OpenSSH 9, Python 3.11, sudo before use_pty was
# its default.

SUITES = ("bookworm", "trixie", "sid")

#: On two hosts, with `use_pty` and without.
OF_EACH_SUITE = (
    becoming(INT),
    becoming(INT, "another user", pipelining=True),
    becoming(KILL, pipelining=True),
    becoming(KILL, "root, no password"),
    becoming(TIMEOUT, pipelining=True),
    becoming(TIMEOUT, "root, by password"),
    becoming(LOST_CONTROLLER, "root, no password", pipelining=True),
)


@pytest.mark.parametrize(
    ("suite", "row"),
    [
        pytest.param(
            suite,
            row,
            marks=[rest, *shows(row.trigger, "Targets", f"Debian {suite}")],
            id=f"{suite}, {row.name}",
        )
        for suite in SUITES
        for row in OF_EACH_SUITE
    ],
)
def test_nothing_survives_on_debian(
    among_of_suite: Callable[[str], Company], suite: str, row: Row, took: Took
) -> None:
    """From OpenSSH 9.8 on a session has processes of other names.

    sudo's `use_pty` is its default from 1.9.14 on.
    """
    nothing_survives(among_of_suite(suite), row, took)


# Pythons.

PYTHONS = ((3, 6), (3, 7), (3, 8), (3, 9), (3, 10), (3, 12), (3, 14), (3, 15))

#: The first of them in every run of the tests.
OF_EACH_PYTHON = (
    becoming(INT, hosts=1),
    becoming(INT, "another user", hosts=1, pipelining=True),
    becoming(KILL, "root, no password", hosts=1, pipelining=True),
    becoming(TIMEOUT, "root, no password", hosts=1),
    becoming(LOST_CONTROLLER, hosts=1, pipelining=True),
)

#: The oldest on the hosts of one core or another.
OLDEST = ((3, 6), (3, 9))

#: The oldest and the newest that a machine has by itself, which every run of the tests has. Later
#: ones are made first, from what has to be downloaded.
BOUNDS = (*OLDEST, (3, 12))


@pytest.mark.parametrize(
    ("version", "row"),
    [
        pytest.param(
            version,
            row,
            marks=[
                *([] if row is OF_EACH_PYTHON[0] and version in BOUNDS else [rest]),
                *shows(row.trigger, "Targets", f"Python {dotted(version)}"),
            ],
            id=f"{dotted(version)}, {row.name}",
        )
        for version in PYTHONS
        for row in OF_EACH_PYTHON
    ],
)
def test_nothing_survives_where_there_is_no_other_python(
    among_with_python: Callable[[Version], Company], version: Version, row: Row, took: Took
) -> None:
    """Supervisor and kill pass run on what modules run on. Before 3.9 it has no pidfd."""
    nothing_survives(among_with_python(version), row, took)


# The controls.


@pytest.mark.parametrize("suite", [pytest.param(suite, marks=rest) for suite in SUITES])
def test_without_the_collection_the_tree_survives_on_debian(labs: Labs, suite: str) -> None:
    """With use_pty and without: what sudo runs in a terminal of its own lives on as well."""
    remains = play_control(labs.of_suite(suite), Setting(pipelining=True), KILL)
    assert remains.survivors >= {*tree.FULL}, remains.story


@pytest.mark.parametrize(
    "version", [pytest.param(version, marks=rest, id=dotted(version)) for version in OLDEST]
)
def test_without_the_collection_the_tree_survives_with_an_old_python(
    labs: Labs, version: Version
) -> None:
    """It survives there as well."""
    remains = play_control(labs.with_python(version), Setting(hosts=1, pipelining=True), KILL)
    assert remains.survivors >= {*tree.FULL}, remains.story
