# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures and settings for the tests of module_utils."""

import pytest
from hypothesis import HealthCheck, settings

from tests.unit.plugins.module_utils.process_namespace import ProcessNamespace

# For all unit tests of plugins: hypothesis works as long as a busy machine needs, and leaves no
# files. It is loaded here, because every way to run them loads this file.
settings.register_profile(
    "here", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")


@pytest.fixture
def namespace():
    """A process table of its own."""
    with ProcessNamespace() as running:
        yield running
