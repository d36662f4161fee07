# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to network devices are not touched.

They have no shell that could set a cookie, and a device might take one for a command.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.run.run import environ_of

from . import network_devices


def test_the_connections_of_netcommon_have_no_guard(collections: None, tmp_path: Path) -> None:
    """The plugins are real; nothing is connected."""
    script = Path(network_devices.__file__)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environ_of("none", tmp_path, collection=True),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        name: {"guard": False, "members": []} for name in network_devices.PLUGINS
    }
