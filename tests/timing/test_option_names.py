# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time of the search for misspelt options at the start of a run with many hosts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .fastest import fastest

#: Seconds of processor time.
BAR = 0.02
HOSTS, VARIABLES, TASKS = 200, 50, 200

#: What every guarded run has loaded before its first play.
PRELUDE = (
    "from ansible_collections.treekill.remote.plugins.plugin_utils._run import start_run\n"
    "from ansible_collections.treekill.remote.plugins.plugin_utils._run import guarded_run\n"
    "from ansible_collections.treekill.remote.plugins.plugin_utils._connection import guard\n"
    "from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill import plan\n"
)

SEARCH = """
import sys, time
from ansible import context
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play import Play
from ansible.utils.display import Display
from ansible.vars.manager import VariableManager
context.CLIARGS = {"extra_vars": (), "inventory": (sys.argv[1] + "/hosts.json",)}
loader = DataLoader()
loader.set_basedir(sys.argv[1])
inventory = InventoryManager(loader, sources=[sys.argv[1] + "/hosts.json"])
manager = VariableManager(loader, inventory)
tasks = [{"command": "true", "vars": {"a": 1}} for number in range(int(sys.argv[2]))]
play = Play.load({"hosts": "all", "tasks": tasks}, variable_manager=manager, loader=loader)
assert len(inventory.hosts) == int(sys.argv[3])
begun = time.thread_time()
from ansible_collections.treekill.remote.plugins.plugin_utils._run import option_names
option_names.warn_of_unknown_names(play, Display())
print(time.thread_time() - begun)
"""


def seconds_of_search(directory: Path) -> float:
    """Return what a new process takes, with the import of the code that searches."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + SEARCH, str(directory), str(TASKS), str(HOSTS)],
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("WARNING" in done.stderr) == (directory / "misspelt").exists(), done.stderr
    return float(done.stdout)


def test_the_search_is_cheap_with_files_for_each_host(tmp_path: Path) -> None:
    names = [f"host{number}" for number in range(HOSTS)]
    variables = {f"variable_{number}": "x" * 20 for number in range(VARIABLES)}
    (tmp_path / "hosts.json").write_text(
        json.dumps({"all": {"hosts": dict.fromkeys(names, variables)}})
    )
    (tmp_path / "host_vars").mkdir()
    text = "".join(f"{name}: {value}\n" for name, value in variables.items())
    for name in names:
        (tmp_path / "host_vars" / f"{name}.yml").write_text(text)
    assert fastest(lambda: seconds_of_search(tmp_path), BAR) < BAR
    # The control: all of it was searched.
    (tmp_path / "misspelt").touch()
    (tmp_path / "host_vars" / f"{names[-1]}.yml").write_text(text + "treekill_trak: 1\n")
    seconds_of_search(tmp_path)
