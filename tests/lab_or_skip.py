# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab for tests that want hosts of namespaces; where there can be none, they are skipped with the reason."""

from __future__ import annotations

import pytest

from tests.hosts import KindUnavailable, Lab


def lab_or_skip(count: int) -> Lab:
    """So many hosts, up."""
    try:
        return Lab.up(count=count, kind="namespace")
    except KindUnavailable as reason:
        pytest.skip(str(reason))
