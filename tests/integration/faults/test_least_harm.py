# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rule of least harm, with whole runs.

Whatever becomes of its guardian, a run prints and does what it does without the collection.
tests/unit has that rule for each message between the run and its guardian.
"""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until

from . import guardian

#: All results as JSON on standard output. It lacks what differs each time, such as the whole
#: seconds that `wait_for` waited.
_CALLBACK = """
import json
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = (
    "name: as_json\\ntype: stdout\\nshort_description: results\\n"
    "description: results\\n"
)
VOLATILE = {
    "start", "end", "delta", "elapsed", "ansible_job_id", "results_file", "src",
    "_ansible_item_label", "attempts",
}

def constant(value):
    if isinstance(value, dict):
        return {str(name): constant(one) for name, one in value.items() if name not in VOLATILE}
    return [constant(one) for one in value] if isinstance(value, (list, tuple)) else value

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "as_json"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._results = []

    def _note(self, state, result):
        host, task = result._host.get_name(), result._task.get_name()
        self._results.append([state, host, task, constant(result._result)])

    def v2_runner_on_ok(self, result):
        self._note("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._note("failed", result)

    def v2_runner_on_skipped(self, result):
        self._note("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._note("unreachable", result)

    def v2_playbook_on_stats(self, stats):
        told = {host: stats.summarize(host) for host in sorted(stats.processed)}
        all_of_it = {"results": self._results, "stats": told}
        self._display.display(json.dumps(all_of_it, indent=1, sort_keys=True, default=str))
"""

_PLACE = "/tmp/least-{{ row }}"


def _twenty(local: bool) -> Sequence[tasks.Task]:
    """Return tasks of every kind that a guardian gets.

    Each second one lasts long enough to be met by a fault.
    """
    shell = "ansible.builtin.shell"
    slow = [
        {
            "name": f"Step {number}",
            shell: f"echo {number} >> {_PLACE}-steps; sleep 0.3; echo {number}",
        }
        for number in range(6)
    ]
    return [
        {"name": "A module", "ansible.builtin.ping": {}},
        slow[0],
        {"name": "A loop", "ansible.builtin.command": "echo {{ item }}", "loop": [1, 2, 3]},
        {
            "name": "A file",
            "ansible.builtin.copy": {
                "content": "content\n",
                "dest": f"{_PLACE}-copy",
                "mode": "0600",
            },
        },
        slow[1],
        {
            "name": "As root, where that is another one",
            "ansible.builtin.command": "id -un",
            "become": not local,
        },
        {"name": "A job", shell: "sleep 1; echo job", "async": 30, "poll": 1},
        slow[2],
        {
            "name": "Elsewhere",
            "ansible.builtin.command": "echo elsewhere",
            "delegate_to": "localhost",
        },
        {
            "name": "A daemon",
            shell: f"sleep 600 >/dev/null 2>&1 </dev/null & echo $! > {_PLACE}-daemon",
        },
        slow[3],
        {
            "block": [{"name": "It fails", shell: "echo why >&2; exit 3"}],
            "rescue": [{"name": "Rescue", "ansible.builtin.command": "echo rescued"}],
        },
        {"name": "A job on its own", shell: f"sleep 2; touch {_PLACE}-job", "async": 60, "poll": 0},
        slow[4],
        {"name": "Raw", "ansible.builtin.raw": "echo raw"},
        {"name": "Skipped", "ansible.builtin.ping": {}, "when": False},
        {"name": "The file again", "ansible.builtin.slurp": {"src": f"{_PLACE}-copy"}},
        {
            "name": "A fact",
            "ansible.builtin.set_fact": {"known": "{{ inventory_hostname | length > 0 }}"},
        },
        slow[5],
        {
            "name": "The job on its own",
            "ansible.builtin.wait_for": {"path": f"{_PLACE}-job", "timeout": 40},
        },
        {"name": "All steps", "ansible.builtin.command": f"cat {_PLACE}-steps"},
        {"name": "The daemon lives", shell: f"kill -0 $(cat {_PLACE}-daemon)"},
        {"name": "It may go", shell: f"kill $(cat {_PLACE}-daemon); rm -rf {_PLACE}-*"},
    ]


def _play(local: bool, **more: Any) -> Play:
    return Play(
        _twenty(local),
        # If HOME is not the home of the user, core writes the file of a local job in one of them.
        # It looks for the file in the other.
        variables={
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "ansible_async_dir": f"{_PLACE}-async",
        }
        if local
        else {},
        files={"as_json.py": _CALLBACK},
        # A second without an answer is enough for a test, and a disk is needed for a journal.
        options={"kill_timeout": 1, "journal_path": "journal"},
        sections={
            "defaults": {
                "stdout_callback": "as_json",
                "callback_plugins": ".",
                "localhost_warning": "false",
            },
            "ssh_connection": {"pipelining": "true"},
        },
        **more,
    )


Process = Callable[[Run], ProcessId]


def _guardian(run: Run) -> ProcessId:
    return guardian.guardian_of(run)


def _writer(run: Run) -> ProcessId:
    of = guardian.guardian_of(run)
    # At its beginning it has another child for a moment, which makes the programs.
    children = Path(f"/proc/{of.pid}/task/{of.pid}/children")
    until(
        lambda: len(children.read_text().split()) == 1,
        10,
        lambda: f"not one child of the guardian\n{run.story}",
    )
    return ProcessId.of(int(children.read_text()))


@dataclasses.dataclass(frozen=True)
class Fault:
    """A signal to one process of ours at the beginning of one step.

    There may be another one at that of a later step.
    """

    process: Process
    number: signal.Signals
    at: int
    until: int | None = None

    def befall(self, run: Run, steps: Path) -> None:
        """Let it happen while the run goes on."""
        victim = self.process(run)
        self._await(run, steps, self.at)
        victim.kill(self.number)
        if self.until is not None:
            self._await(run, steps, self.until)
            victim.kill(signal.SIGCONT)

    @staticmethod
    def _await(run: Run, steps: Path, number: int) -> None:
        until(
            lambda: (
                run.process.poll() is not None
                or (steps.exists() and len(steps.read_text().split()) > number)
            ),
            120,
            lambda: f"step {number} does not come\n{run.story}",
        )


FAULTS = {
    "guardian stopped": Fault(_guardian, signal.SIGSTOP, at=1),
    "guardian stopped for a while": Fault(_guardian, signal.SIGSTOP, at=0, until=3),
    "guardian killed": Fault(_guardian, signal.SIGKILL, at=2),
    "disk standing still": Fault(_writer, signal.SIGSTOP, at=0),
}


def _finish(run: Run) -> dict[str, Any]:
    assert run.wait(240) == 0, run.story
    told: dict[str, Any] = json.loads(run.output.replace(run.row, "ROW"))
    return told


def _without(lab: Lab, play: Play) -> dict[str, Any]:
    with started(lab, dataclasses.replace(play, collection=False, options={})) as run:
        return _finish(run)


def _with(lab: Lab, play: Play, fault: Fault | None, root: Path) -> dict[str, Any]:
    with started(lab, play) as run:
        ours = []
        if fault is not None:
            ours = [_guardian(run), _writer(run)]
            fault.befall(run, root / f"tmp/least-{run.row}-steps")
        told = _finish(run)
        for process in ours:
            process.kill(signal.SIGCONT)
        tasks.wait_until_nothing_is_left(run)
        return told


#: Over ssh first those that end or delay what a connection of ssh waits for.
_OVER_SSH = ("guardian stopped for a while", "guardian killed")


@pytest.mark.parametrize(
    ("local", "names"),
    [
        pytest.param(True, ("none", *FAULTS), id="local"),
        pytest.param(False, _OVER_SSH, id="ssh"),
        pytest.param(
            False,
            ("none", *(name for name in FAULTS if name not in _OVER_SSH)),
            id="ssh, the rest",
            marks=pytest.mark.rest,
        ),
    ],
)
def test_a_run_whose_guardian_fails_says_what_it_says_without_the_collection(
    lab: Lab, web1: Host, local: bool, names: Sequence[str]
) -> None:
    """One run for each fault, against a run without the collection."""
    play, root = _play(local), Path("/") if local else web1.root
    plain = _without(lab, play)
    assert len(plain["results"]) > 20
    for name in names:
        assert _with(lab, play, FAULTS.get(name), root) == plain, name
