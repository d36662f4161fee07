# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time of the look at ansible-core at the start of each run."""

from __future__ import annotations

import subprocess
import sys

from .fastest import fastest

#: Seconds of processor time.
BAR = 0.002

LOOK = (
    "import time\n"
    "from ansible.cli import playbook\n"
    "from ansible.executor import playbook_executor\n"
    "from ansible.executor.process import worker\n"
    "from ansible.plugins import action, become, connection, shell\n"
    "from ansible_collections.treekill.remote.plugins.plugin_utils._core import api\n"
    "begun = time.thread_time()\n"
    "api.warning('x')\n"
    "print(time.thread_time() - begun)\n"
)


def test_the_look_is_cheap():
    """Each measurement needs a new process.

    It has loaded what every run has loaded when its callbacks start.
    """
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    assert (
        fastest(
            lambda: float(
                subprocess.run(
                    [sys.executable, "-c", LOOK], env=environ, stdout=subprocess.PIPE, check=True
                ).stdout
            ),
            BAR,
        )
        < BAR
    )
