# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the callback costs a run that nobody interrupts: a loop of 40 commands over warm ssh with pipelining, with it and without."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.hosts import Lab
from tests.matrix import controller, play, run

from .figure import Figure, by_turns, compared

_PAIRS = 7
_ITEMS = 40

#: With the supervisor around each command, and without it.
_BARS = {True: 1.10, False: 1.03}

_MARK = "bench-overhead"


def measure(lab: Lab) -> Iterator[Figure]:
    """Wall time of the whole ansible-playbook, start and end included."""
    for supervise in _BARS:
        yield _measure(lab, supervise)


def _measure(lab: Lab, supervise: bool) -> Figure:
    directory = Path(tempfile.mkdtemp(prefix="tk-", dir="/tmp"))
    try:
        _write(directory, lab, supervise)
        with_callback, without = _measured(directory, collection=True), _measured(directory, collection=False)
        # The first of each opens the ControlMaster and compiles what is imported.
        with_callback()
        without()
        mine, its = by_turns(with_callback, without, _PAIRS)
    finally:
        controller.end(_MARK, directory)
        shutil.rmtree(directory)
    what = f"a loop of {_ITEMS} `command` tasks over warm ssh with pipelining, `supervise` {'on' if supervise else 'off'}: wall time"
    return compared(what, "the same without the callback", mine, its, _BARS[supervise])


def _measured(directory: Path, *, collection: bool) -> Callable[[], float]:
    environ = run.environ_of(_MARK, directory, collection=collection)
    environ["ANSIBLE_CONFIG"] = str(directory / f"{'with' if collection else 'without'}.cfg")

    def once() -> float:
        began = time.monotonic()
        argv = [run.program("ansible-playbook"), str(directory / "playbook.yml")]
        subprocess.run(argv, env=environ, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return time.monotonic() - began

    return once


def _write(directory: Path, lab: Lab, supervise: bool) -> None:
    for name, collection in (("with", True), ("without", False)):
        (directory / f"{name}.cfg").write_text(play.configuration(directory, lab, play.Setting(pipelining=True, hosts=1, supervise=supervise), collection))
    (directory / "targets.json").write_text(json.dumps({"targets": {"hosts": {"web1": {}}}}))
    task = {"name": "Do next to nothing", "ansible.builtin.command": "/bin/true", "loop": list(range(_ITEMS))}
    (directory / "playbook.yml").write_text(json.dumps([{"hosts": "targets", "gather_facts": False, "tasks": [task]}]))
