# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of plugin_utils share: a process table of its own for a test; hypothesis works as long as a busy machine needs, and leaves no files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.unit.plugins.module_utils.process_namespace import ProcessNamespace

settings.register_profile("here", deadline=None, database=None)
settings.load_profile("here")


@pytest.fixture
def namespace() -> Iterator[ProcessNamespace]:
    """A process table of its own."""
    with ProcessNamespace() as running:
        yield running
