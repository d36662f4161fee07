# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package whose installation script grows the tree.

ansible.builtin.apt installs it: as root, below apt and dpkg.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.grace.packages import skip_without_python_apt
from tests.support.coverage import covers
from tests.support.hosts import Host, Lab
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.trees.triggers import INT, KILL, TIMEOUT, Trigger

from .feature import Feature, assert_over, assert_rescued, grown, run_out

_APT = "ansible.builtin.apt"

#: A package with only its script in it.
_MAKE = """
mkdir -p /tmp/package-{{ row }}/DEBIAN
cd /tmp/package-{{ row }}
printf '%s\\n' 'Package: grows-a-tree' 'Version: 1' 'Architecture: all' \\
    'Maintainer: test <test@example.org>' 'Description: grows a tree' > DEBIAN/control
cat > DEBIAN/postinst << 'END OF SCRIPT'
#!/bin/bash
{{ lookup('file', 'tree.sh') }}
END OF SCRIPT
chmod 755 . DEBIAN DEBIAN/postinst
dpkg-deb --build . /tmp/package-{{ row }}.deb
"""

PACKAGE = Feature(
    "package module apt",
    [
        {"name": "Make a package", "ansible.builtin.shell": _MAKE},
        {"name": "Install it", _APT: {"deb": "/tmp/package-{{ row }}.deb"}},
    ],
    keywords={"become": True},
    # The script never ends. So what is shown is how it is ended when it is not left to finish.
    variables={"ansible_python_interpreter": "/usr/bin/python3", "treekill_finish": False},
)


@pytest.fixture(scope="module")
def lab_with_apt() -> Iterator[Lab]:
    """A host with python3-apt."""
    with lab_or_skip(1) as lab:
        skip_without_python_apt(lab["web1"])
        yield lab


@pytest.fixture
def clean(lab_with_apt: Lab) -> Lab:
    """The host without what an earlier test has left half installed."""
    host = lab_with_apt["web1"]
    host.reset()
    host.run(["dpkg", "--purge", "--force-all", "grows-a-tree"], check=False)
    return lab_with_apt


@pytest.mark.parametrize(
    "trigger",
    [
        pytest.param(INT, marks=covers("Play features", PACKAGE.name, "interrupt")),
        pytest.param(KILL, marks=covers("Play features", PACKAGE.name, "KILL of main")),
    ],
    ids=lambda trigger: trigger.name,
)
def test_nothing_survives_of_an_installation_and_dpkg_can_be_used_again(
    clean: Lab, trigger: Trigger
) -> None:
    """dpkg is ended as by any other program.

    What it has begun is half configured, and its lock is free.
    """
    with grown(clean, PACKAGE) as run:
        trigger.fire(run, clean)
        assert_over(run, clean, PACKAGE, trigger)
    assert_dpkg_works(clean["web1"])


@covers("Play features", PACKAGE.name, "timeout")
def test_a_timeout_ends_an_installation_before_the_rescue(clean: Lab) -> None:
    with grown(clean, PACKAGE, timeout=True) as run:
        run_out(run, clean, PACKAGE)
        assert TIMEOUT.status == PACKAGE.status_of_timeout
        assert_rescued(run, clean, PACKAGE)
    assert_dpkg_works(clean["web1"])


def assert_dpkg_works(host: Host) -> None:
    """Assert that its database can be locked, and has the package as one that is not configured."""
    assert (
        "half-configured"
        in host.run(["dpkg-query", "--show", "--showformat", "${Status}", "grows-a-tree"]).stdout
    )
    host.run(["dpkg", "--remove", "--force-all", "grows-a-tree"])


def test_without_the_collection_an_installation_goes_on(clean: Lab) -> None:
    """The control."""
    with grown(clean, PACKAGE, collection=False) as run:
        KILL.fire(run, clean)
        assert run.wait(20) == KILL.status, run.story
        assert clean["web1"].processes(r"^dpkg|postinst"), run.story


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
