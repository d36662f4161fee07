# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Costs of the callback in an uninterrupted run.

They are measured in a play without a task, in loops of modules over warm ssh, and in loops that
start nothing.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import Lab
from tests.support.run import controller, play, run

from .figure import Figure, by_turns, compared, seconds

_PAIRS = 7

_MARK = "bench-overhead"


@dataclass(frozen=True)
class _Loop:
    """One task with a loop, and the limit for the additional time with the callback."""

    what: str
    task: dict[str, object]
    most: float
    supervise: bool = True
    pipelining: bool = True

    @property
    def playbook(self) -> str:
        """Return it as JSON, which is YAML."""
        return json.dumps([{"hosts": "targets", "gather_facts": False, "tasks": [self.task]}])


def _looped(action: str, arguments: object, items: int) -> dict[str, object]:
    return {
        "name": "Do next to nothing",
        f"ansible.builtin.{action}": arguments,
        "loop": f"{{{{ range({items}) | list }}}}",
    }


_COMMANDS = _looped("command", "/bin/true", 40)

_LOOPS = (
    _Loop(
        "a loop of 1,000 items of `set_fact`",
        _looped("set_fact", {"fact": "{{ item }}"}, 1000),
        most=1.01,
    ),
    _Loop(
        "a loop of 1,000 items of `debug`",
        _looped("debug", {"msg": "{{ item }}"}, 1000),
        most=1.01,
    ),
    _Loop(
        "a loop of 100 items of `file` over warm ssh with pipelining",
        _looped("file", {"path": "/tmp", "state": "directory"}, 100),
        most=1.03,
    ),
    _Loop(
        "a loop of 40 `command` tasks over warm ssh with pipelining, `supervise` on",
        _COMMANDS,
        most=1.03,
    ),
    _Loop(
        "a loop of 40 `command` tasks over warm ssh without pipelining, `supervise` on",
        _COMMANDS,
        most=1.03,
        pipelining=False,
    ),
    _Loop(
        "a loop of 40 `command` tasks over warm ssh with pipelining, `supervise` off",
        _COMMANDS,
        most=1.03,
        supervise=False,
    ),
)

#: Milliseconds that the callback may add to a run without a task.
_START_MILLISECONDS = 50.0


def measure(lab: Lab) -> Iterator[Figure]:
    """Measure the wall time of the whole ansible-playbook, start and end included."""
    yield _start(lab)
    for loop in _LOOPS:
        mine, its = _series(lab, loop.playbook, loop.supervise, loop.pipelining)
        yield compared(
            f"{loop.what}: wall time", "the same without the callback", mine, its, loop.most
        )


def _start(lab: Lab) -> Figure:
    """Measure a play without a task."""
    playbook = json.dumps([{"hosts": "targets", "gather_facts": False, "tasks": []}])
    mine, its = _series(lab, playbook, supervise=True, pipelining=True)
    added = 1000 * statistics.median(own - other for own, other in zip(mine, its, strict=True))
    return Figure(
        "a play without a task: wall time",
        seconds(statistics.median(mine)),
        f"the same without the callback: {seconds(statistics.median(its))}",
        f"{added:+.0f} ms",
        f"at most {_START_MILLISECONDS:+g} ms",
        added <= _START_MILLISECONDS,
    )


def _series(
    lab: Lab, playbook: str, supervise: bool, pipelining: bool
) -> tuple[list[float], list[float]]:
    directory = Path(tempfile.mkdtemp(prefix="tk-", dir="/tmp"))
    try:
        _write(directory, lab, playbook, supervise, pipelining)
        with_callback, without = (
            _measured(directory, collection=True),
            _measured(directory, collection=False),
        )
        # The first run of each opens the ControlMaster and compiles what is imported.
        with_callback()
        without()
        return by_turns(with_callback, without, _PAIRS)
    finally:
        controller.end(_MARK, directory)
        shutil.rmtree(directory)


def _measured(directory: Path, *, collection: bool) -> Callable[[], float]:
    environ = run.environ_of(_MARK, directory, collection=collection)
    # Users keep compiled code.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
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


def _write(directory: Path, lab: Lab, playbook: str, supervise: bool, pipelining: bool) -> None:
    setting = play.Setting(pipelining=pipelining, hosts=1, supervise=supervise)
    for name, collection in (("with", True), ("without", False)):
        (directory / f"{name}.cfg").write_text(
            play.configuration(directory, lab, setting, collection)
        )
    (directory / "targets.json").write_text(json.dumps({"targets": {"hosts": {"web1": {}}}}))
    (directory / "playbook.yml").write_text(playbook)
