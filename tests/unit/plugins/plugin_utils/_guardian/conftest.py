# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guardian whose loop the test advances, and the processes that talk to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..stepped_guardian import SteppedGuardian


@pytest.fixture
def stepped() -> Iterator[SteppedGuardian]:
    """Return the guardian. Its `peers` end with the test."""
    guardian = SteppedGuardian()
    try:
        yield guardian
    finally:
        for sent in guardian.couriers:
            guardian.answer(sent, b"")
        for peer in [*guardian.peers, guardian.main]:
            if peer.pid:
                peer.die()
        guardian.loop.settle()
        for sent in guardian.couriers:
            guardian.answer(sent, b"")
        guardian.close()
