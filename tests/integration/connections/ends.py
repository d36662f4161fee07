# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ends of rows of these connections, and the settings for each end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from tests.support.hosts import Lab
from tests.support.run.controller import only_worker
from tests.support.run.play import Setting
from tests.support.run.run import Run
from tests.support.trees.triggers import INT, KILL, TIMEOUT, Trigger

#: With the names of their columns in the table of what is covered.
ENDS = {INT: "interrupt", KILL: "KILL of main", TIMEOUT: "timeout"}

_TIMED: dict[str, Any] = {
    "keywords": {"timeout": 3600},
    "rescue": [{"name": "Rescue", "ansible.builtin.debug": {}}],
}


def setting_of(trigger: Trigger, *, pipelining: bool, **more: Any) -> Setting:
    """Return the setting for one host, whose connection plugin has no section in ansible.cfg.

    A task that runs into its timeout is rescued.
    """
    return Setting(
        hosts=1,
        variables={"web1": {"ansible_pipelining": pipelining}},
        **(_TIMED if trigger is TIMEOUT else {}),
        **more,
    )


def fire_of(trigger: Trigger) -> Callable[[Run, Lab], None] | None:
    """Return what to do instead of the trigger's own.

    These hosts have no address by which their worker is found.
    """
    return _alarm if trigger is TIMEOUT else None


def _alarm(run: Run, lab: Lab) -> None:
    only_worker(run.row, run.process.pid).kill(signal.SIGALRM)
