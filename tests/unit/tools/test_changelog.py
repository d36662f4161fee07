# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate for the changelog recognises the versions that have an entry."""

from __future__ import annotations

import pytest

from tools.environment._changelog import has_entry, version
from tools.environment._paths import ROOT

CHANGELOG = (ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8")


def test_the_version_has_an_entry() -> None:
    assert has_entry(CHANGELOG, version())


@pytest.mark.parametrize("other", ["99.0.0", "1.0", "0.0"])
def test_another_has_none(other: str) -> None:
    assert not has_entry(CHANGELOG, other)
