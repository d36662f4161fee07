# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that the tests of plugin_utils share with those of module_utils.

They are a process table of its own for a test, and the profile of hypothesis.
"""

from tests.unit.plugins.module_utils.conftest import namespace

__all__ = ["namespace"]
