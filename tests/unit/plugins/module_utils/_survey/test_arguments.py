# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ages as ansible.builtin.find takes them."""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._survey.arguments import (
    seconds_of_age,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("3600", 3600.0),
        ("2.5", 2.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        (" 2D ", 172800.0),
        ("1w", 604800.0),
    ],
)
def test_an_age_has_a_unit_or_is_seconds(text, seconds):
    assert seconds_of_age(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-1", "-1d", "2 d", "2dd", "1y", "nan", "inf", "1e9", "²"]
)
def test_what_is_no_age_is_refused(text):
    with pytest.raises(ValueError, match="is no age"):
        seconds_of_age(text)
