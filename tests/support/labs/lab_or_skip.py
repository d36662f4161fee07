# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab for tests that want hosts of namespaces.

Where such hosts can't run, the tests are skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.support.hosts import KindUnavailable, Lab
from tests.support.hosts.trees import DEFAULT


def lab_or_skip(
    count: int,
    *,
    base: str = DEFAULT,
    systemd: bool = False,
    packages: Sequence[str] = (),
    binds: Mapping[str, str] | None = None,
) -> Lab:
    """So many hosts, up. `base`, `systemd`, `packages` and `binds`: see `Lab.up`."""
    try:
        return Lab.up(
            count=count,
            kind="namespace",
            base=base,
            systemd=systemd,
            packages=packages,
            binds=binds,
        )
    except KindUnavailable as reason:
        pytest.skip(str(reason))
