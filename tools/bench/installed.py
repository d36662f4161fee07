# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The installed collection, imported into this process as Ansible imports it."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

from ansible.plugins.loader import init_plugin_loader


@functools.cache
def product(name: str) -> ModuleType:
    """Return a module of its plugin_utils.

    It is from ANSIBLE_COLLECTIONS_PATH, not from the repository.
    """
    _once()
    return importlib.import_module(
        f"ansible_collections.treekill.remote.plugins.plugin_utils.{name}"
    )


@functools.cache
def _once() -> None:
    init_plugin_loader()
