# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ssh connection of ansible-core, which guards itself."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh
short_description: Connect by OpenSSH, and end what was started when the run is interrupted
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - The P(ansible.builtin.ssh#connection) plugin of the installed ansible-core,
    with all its options, configuration and variables.
  - It guards every command that is sent through it.
  - With the callback P(treekill.remote.guardian#callback) and O(track=all), it is not needed.
    The builtin plugin is then guarded as well.
  - Use it in inventories that need the guard without the callback, or with O(track=plugins).
    With O(track=plugins), nothing in ansible-core is patched.
extends_documentation_fragment:
  - treekill.remote.ssh
  - treekill.remote.kill
notes:
  - Without the callback, the first task starts a guardian.
    An interruption then ends what is running, and there is no recap.
"""

EXAMPLES = r"""
inventory: |
  # Guard what is sent to these hosts
  all:
    hosts:
      web1.example.com:
    vars:
      ansible_connection: treekill.remote.ssh
      treekill_kill_timeout: 20
"""

import typing as t

from ansible.plugins.connection.ssh import Connection as CoreConnection
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.self_guard import (
    guard_itself,
)


class Connection(CoreConnection):
    """Core's connection, which guards itself when its options are set."""

    kill_order_plugin = "ansible.builtin.ssh"

    def set_options(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().set_options(*args, **kwargs)
        guard_itself(self)
