# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The password of a connection among the texts that ansible-core hides in all output.

ansible-core 2.22 hides the options that a plugin documents as `secret`. Earlier versions of
ansible-test refuse that word in the documentation of a plugin.
"""

from __future__ import annotations

import importlib


def hide(password: str | None) -> None:
    """Have core hide the password in what this process shows, from ansible-core 2.22 on."""
    if not password:
        return
    try:
        secrets = importlib.import_module("ansible.module_utils.secrets")
    except ImportError:
        return  # before ansible-core 2.22
    secrets.register_secret(password)
