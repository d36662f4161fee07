# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that uses Ansible as a library.

It runs the script that it is given, which can use what is defined here.
"""

from __future__ import annotations

import atexit
import gc
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

HOOKS: list[Any] = []
_register = os.register_at_fork


def _count(**hooks: Any) -> None:
    HOOKS.append(hooks)
    _register(**hooks)


os.register_at_fork = _count

from ansible import context  # noqa: E402
from ansible.executor.playbook_executor import PlaybookExecutor  # noqa: E402
from ansible.inventory.manager import InventoryManager  # noqa: E402
from ansible.module_utils.common.collections import ImmutableDict  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.plugins.loader import init_plugin_loader  # noqa: E402
from ansible.vars.manager import VariableManager  # noqa: E402

init_plugin_loader([])
_NOTHING = dict.fromkeys(("become", "listhosts", "listtasks", "listtags", "start_at_task"))
context.CLIARGS = ImmutableDict(
    **_NOTHING,
    syntax=False,
    verbosity=0,
    forks=5,
    check=False,
    diff=False,
    connection="local",
    inventory=["here,"],
    extra_vars=[],
)


def say(content: object) -> None:
    """Print a message for the test."""
    sys.stderr.flush()
    print("SAYS " + json.dumps(content), flush=True)


def play(*tasks: dict[str, Any]) -> int:
    """Run a play with these tasks on this machine, and return its exit status."""
    Path("play.yml").write_text(
        json.dumps([{"hosts": "all", "connection": "local", "gather_facts": False, "tasks": tasks}])
    )
    loader = DataLoader()
    inventory = InventoryManager(loader, ["here,"])
    variables = VariableManager(loader, inventory)
    return int(PlaybookExecutor(["play.yml"], inventory, variables, loader, {}).run())


def state() -> dict[str, Any]:
    """Return what a run may not change in this process."""
    for worker in multiprocessing.active_children():
        if type(worker).__name__ == "WorkerProcess":
            worker.join(20)
    gc.collect()
    handlers = {number: signal.getsignal(number) for number in range(1, signal.NSIG)}
    wake = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wake)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "handlers": {
            number: getattr(handler, "__qualname__", str(handler))
            for number, handler in handlers.items()
        },
        "wake-up descriptor": wake,
        "functions at exit": atexit._ncallbacks(),  # type: ignore[attr-defined]
        "hooks at fork": len(HOOKS),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": len(children),
        "environment": sorted(name for name in os.environ if name.startswith("TREEKILL")),
    }


if __name__ == "__main__":
    exec(compile(sys.argv[1], "script", "exec"))
