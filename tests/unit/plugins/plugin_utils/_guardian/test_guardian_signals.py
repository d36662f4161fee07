# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages in the pipe by which the main process reports signals to its guardian."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from ..stepped_guardian import SteppedGuardian


@pytest.fixture
def guardian() -> Iterator[SteppedGuardian]:
    stepped = SteppedGuardian()
    yield stepped
    stepped.main.die()
    stepped.loop.settle()
    stepped.close()


@pytest.mark.parametrize(
    "number", [signal.SIGWINCH, signal.SIGALRM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGRTMIN + 1]
)
def test_a_number_that_is_no_signal_of_a_run_interrupts_nothing(guardian, number):
    guardian.signal(number)
    assert not guardian.is_interrupted
    guardian.signal(signal.SIGTERM)
    assert guardian.is_interrupted
