# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The size of a terminal that is a kill order: its pixels are the id of the lease."""

import struct

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.window_order import (
    lease_in,
    ordered_size,
)
from hypothesis import given
from hypothesis import strategies as st

WORD = st.integers(0, 0xFFFF)


@given(number=st.integers(0, 0xFFFFFFFF), present=st.tuples(WORD, WORD, WORD, WORD))
def test_the_lease_is_read_back_and_rows_and_columns_stay(number, present):
    lease = f"{number:08x}"
    size = ordered_size(lease, struct.pack("4H", *present))
    assert struct.unpack("4H", size)[:2] == present[:2]
    assert lease_in(size) == (lease if number else "")


def test_a_terminal_without_pixels_orders_nothing_whatever_the_lease_is():
    """Each terminal that Ansible makes is such a one."""
    assert lease_in(bytes(8)) != "00000000"


@pytest.mark.parametrize("lease", ["", "a lease", "0123456789"])
def test_another_id_has_no_size(lease):
    with pytest.raises(ValueError, match="invalid"):
        ordered_size(lease, bytes(8))
