# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections as an action has them, and their specs as a courier gets them."""

from __future__ import annotations

import dataclasses
import json

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader, shell_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import to_json
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    ConnectionSpec,
)

SECRETS = {
    "ansible_password": "pw-login-3141",
    "ansible_become_password": "pw-become-2718",
    "ansible_ssh_private_key_passphrase": "pw-key-1618",
}
VARIABLES = {
    "ansible_host": "192.0.2.1",
    "ansible_port": 2222,
    "ansible_user": "me",
    "ansible_become_user": "other",
    "ansible_remote_tmp": "/var/tmp/x",
    "ansible_ssh_common_args": "-o ConnectionAttempts=1 -o 'IPQoS=none none'",
    **SECRETS,
}


def a_connection(name: str = "ssh", become: str | None = None):
    """Return a connection object as an action has it: all options set, nothing sent."""
    context = PlayContext()
    context.executable, context.remote_addr = "/bin/sh", "192.0.2.1"
    connection = connection_loader.get(
        name, context, new_stdin=None, task_uuid="", ansible_playbook_pid="1"
    )
    connection.set_options(var_options=VARIABLES)
    connection._shell = shell_loader.get("sh")
    connection._shell.set_options(var_options=VARIABLES)
    connection._shell.executable = "/bin/sh"
    if become:
        plugin = become_loader.get(become)
        plugin.set_options(var_options=VARIABLES)
        connection.set_become_plugin(plugin)
    return connection


def sent(spec: ConnectionSpec) -> ConnectionSpec:
    return ConnectionSpec(**json.loads(to_json(dataclasses.asdict(spec))))
