# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play with a strategy that is not guarded gets a warning, and no other play."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._run.strategies import (
    warn_of_strategy,
)


def warned(**play):
    said = []
    warn_of_strategy(SimpleNamespace(**play), SimpleNamespace(warning=said.append))
    return said


@pytest.mark.parametrize(
    "name", ["mitogen_linear", "mitogen_free", "mitogen", "some.where.mitogen"]
)
def test_a_strategy_of_mitogen_is_named_with_what_to_use_instead(name):
    (said,) = warned(strategy=name, vars={})
    assert f"NOT PROTECTED: plays with the strategy {name}. " in said
    assert "such as linear or free" in said


@pytest.mark.parametrize("name", ["linear", "free", "ansible.builtin.host_pinned", "", None])
def test_a_strategy_of_core_is_not(name):
    assert warned(strategy=name, vars={}) == []


def test_a_play_that_wants_no_guard_gets_no_warning():
    assert warned(strategy="mitogen_linear", vars={"treekill_track": "none"}) == []


def test_a_play_of_a_form_that_is_not_known_goes_on():
    assert warned() == []
