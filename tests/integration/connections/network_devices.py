# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that makes connections to network devices, guards them, and prints what that has changed.

It runs in the environment of a run.
"""

from __future__ import annotations

import json
import typing as t

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, init_plugin_loader


class _Task:
    host = "router"
    needs_connection = False


#: With a platform that each of them supports.
PLUGINS = {
    "network_cli": "cisco.ios.ios",
    "netconf": "",
    "httpapi": "ansible.netcommon.restconf",
    "persistent": "",
}


def main() -> None:
    init_plugin_loader()
    # Found from here on.
    from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (  # noqa: PLC0415
        guard_connection,
    )

    changed = {}
    for name, platform in PLUGINS.items():
        play_context = PlayContext()
        play_context.network_os = platform
        connection = connection_loader.get(f"ansible.netcommon.{name}", play_context, "/dev/null")
        before = {
            member: id(value)
            for member, value in [*vars(connection).items(), *vars(connection._shell).items()]
        }
        present = guard_connection(connection, t.cast(t.Any, None), t.cast(t.Any, _Task))
        after = {
            member: id(value)
            for member, value in [*vars(connection).items(), *vars(connection._shell).items()]
        }
        changed[name] = {
            "guard": present is not None,
            "members": sorted(set(before.items()) ^ set(after.items())),
        }
    print(json.dumps(changed))


if __name__ == "__main__":
    main()
