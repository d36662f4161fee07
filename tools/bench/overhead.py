# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Costs of the callback in an uninterrupted run.

They are measured in loops of commands over warm ssh, and in a loop that starts nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import Lab
from tests.support.run import controller, play, run

from .figure import Figure, by_turns, compared

_PAIRS = 7

_MARK = "bench-overhead"


@dataclass(frozen=True)
class _Loop:
    """One task with a loop, and the limit for the additional time with the callback."""

    what: str
    task: dict[str, object]
    supervise: bool
    most: float

    @property
    def playbook(self) -> str:
        """Return it as JSON, which is YAML."""
        return json.dumps([{"hosts": "targets", "gather_facts": False, "tasks": [self.task]}])


_COMMANDS: dict[str, object] = {
    "name": "Do next to nothing",
    "ansible.builtin.command": "/bin/true",
    "loop": list(range(40)),
}
_FACTS: dict[str, object] = {
    "name": "Start nothing",
    "ansible.builtin.set_fact": {"fact": "{{ item }}"},
    "loop": list(range(1000)),
}

_LOOPS = (
    _Loop("a loop of 1,000 items of `set_fact`", _FACTS, supervise=True, most=1.03),
    _Loop(
        "a loop of 40 `command` tasks over warm ssh with pipelining, `supervise` on",
        _COMMANDS,
        supervise=True,
        most=1.10,
    ),
    _Loop(
        "a loop of 40 `command` tasks over warm ssh with pipelining, `supervise` off",
        _COMMANDS,
        supervise=False,
        most=1.03,
    ),
)


def measure(lab: Lab) -> Iterator[Figure]:
    """Measure the wall time of the whole ansible-playbook, start and end included."""
    for loop in _LOOPS:
        yield _measure(lab, loop)


def _measure(lab: Lab, loop: _Loop) -> Figure:
    directory = Path(tempfile.mkdtemp(prefix="tk-", dir="/tmp"))
    try:
        _write(directory, lab, loop)
        with_callback, without = (
            _measured(directory, collection=True),
            _measured(directory, collection=False),
        )
        # The first run of each opens the ControlMaster and compiles what is imported.
        with_callback()
        without()
        mine, its = by_turns(with_callback, without, _PAIRS)
    finally:
        controller.end(_MARK, directory)
        shutil.rmtree(directory)
    return compared(
        f"{loop.what}: wall time", "the same without the callback", mine, its, loop.most
    )


def _measured(directory: Path, *, collection: bool) -> Callable[[], float]:
    environ = run.environ_of(_MARK, directory, collection=collection)
    environ["ANSIBLE_CONFIG"] = str(directory / f"{'with' if collection else 'without'}.cfg")

    def once() -> float:
        began = time.monotonic()
        argv = [run.program("ansible-playbook"), str(directory / "playbook.yml")]
        subprocess.run(
            argv,
            env=environ,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return time.monotonic() - began

    return once


def _write(directory: Path, lab: Lab, loop: _Loop) -> None:
    setting = play.Setting(pipelining=True, hosts=1, supervise=loop.supervise)
    for name, collection in (("with", True), ("without", False)):
        (directory / f"{name}.cfg").write_text(
            play.configuration(directory, lab, setting, collection)
        )
    (directory / "targets.json").write_text(json.dumps({"targets": {"hosts": {"web1": {}}}}))
    (directory / "playbook.yml").write_text(loop.playbook)
