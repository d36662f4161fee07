# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play that grows its tree by some feature of Ansible.

It is started, ended in the middle of the feature, and looked at when all is over.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import controller, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import tree
from tests.support.trees.triggers import Trigger

Task = dict[str, Any]

OPTIONS = {"kill_timeout": 1}

#: The name by which a feature calls the machine that Ansible runs on.
HERE = "localhost"

#: Where a host has the script that grows the tree.
GROWN = "/tmp/tree-{{ row }}.sh"

SEND_TREE: Task = {
    "name": "Send the tree",
    "ansible.builtin.copy": {
        "content": "#!/bin/sh\n{{ lookup('file', 'tree.sh') }}",
        "dest": GROWN,
        "mode": "0755",
    },
}

#: Writes down the live processes. It moves no file, and starts nothing that could be taken for a
#: part of the tree.
LOOK: Task = {
    "name": "Look what is there",
    "ansible.builtin.raw": "ps -ewwo args > /tmp/seen-{{ row }}",
}

_RECORD = "/tmp/seen-{row}"

#: Seconds. The test decides when they are over.
_LONG = {"timeout": 3600}


@dataclass(frozen=True)
class Feature:
    """A play, and where its tree is in the middle of it."""

    name: str
    tasks: list[Task]
    hosts: tuple[str, ...] = ("web1",)  #: of the play
    grows_on: tuple[str, ...] = ("web1",)  #: where the tree is when the run is interrupted
    keywords: dict[str, Any] = field(default_factory=dict)  #: of the play
    variables: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  #: beside the playbook
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)  #: of ansible.cfg
    kinds: tuple[str, ...] = tree.COOPERATIVE
    section: str = "Play features"  #: of the table of what is covered
    subject: str = ""  #: in that table, if not the name
    rescued: bool = True  #: whether the run goes on when its task has run into its timeout
    status_of_timeout: int = 0  #: the exit status with which it then ends
    also: tuple[tuple[str, str], ...] = ()  #: (section, subject): what it covers besides

    @property
    def covered(self) -> list[tuple[str, str]]:
        """(section, subject) of all that it covers."""
        return [(self.section, self.subject or self.name), *self.also]

    def play(
        self, *, collection: bool = True, timeout: bool = False, terminal: bool = False
    ) -> Play:
        """Return it as it is run.

        `timeout`: its tasks have one, and a rescue.
        """
        steps = (
            [
                {
                    "name": "What may time out",
                    "block": self.tasks,
                    "rescue": [self.look, tasks.trace("rescued")],
                }
            ]
            if timeout
            else self.tasks
        )
        return Play(
            [*steps, tasks.trace("after")],
            hosts=self.hosts,
            keywords={**self.keywords, **(_LONG if timeout else {})},
            variables=self.variables,
            files=self.files,
            sections=self.sections,
            kinds=self.kinds,
            options=OPTIONS,
            collection=collection,
            terminal=terminal,
        )

    @property
    def look(self) -> Task:
        """Return LOOK, where the tree was."""
        return (
            LOOK if {*self.grows_on} <= {*self.hosts} else {**LOOK, "delegate_to": self.grows_on[0]}
        )

    def hosts_with_tree(self, lab: Lab) -> list[Host]:
        """Return the hosts of the lab that have the tree."""
        return [lab[name] for name in self.grows_on if name != HERE]


@contextmanager
def grown(lab: Lab, feature: Feature, **how: Any) -> Iterator[Run]:
    """The run of this play, when its tree runs; `how` as for Feature.play.

    At the end no process of it is left on this machine.
    """
    with started(lab, feature.play(**how)) as run:
        try:
            tasks.wait_for_tree(run, feature.hosts_with_tree(lab))
            if HERE in feature.grows_on:
                until(
                    lambda: grown_here(run) >= {*feature.kinds, "plain"},
                    40,
                    lambda: f"there is only {grown_here(run)}\n{run.story}",
                )
            yield run
        finally:
            for path in (tree.READY, _RECORD):
                _remove(Path(path.format(row=run.row)))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def grown_here(run: Run) -> set[str | None]:
    """Return the kinds of processes of the tree on this machine."""
    return {tree.label_of(process.command, run.row) for process in controller.processes(run.row)}


def run_out(run: Run, lab: Lab, feature: Feature, main: int | None = None) -> None:
    """End the time of the task's timeout, wherever its tree is.

    `main`: pid of the main process, on a terminal.
    """
    main = main or run.process.pid
    workers = {
        controller.worker_of(run.row, main, host.address) for host in feature.hosts_with_tree(lab)
    }
    for worker in workers | ({_worker_here(run)} if HERE in feature.grows_on else set()):
        worker.kill(signal.SIGALRM)


def _worker_here(run: Run) -> ProcessId:
    for process in controller.processes(run.row):
        worker = (
            controller.worker_above(process.id.pid, run.process.pid)
            if tree.label_of(process.command, run.row) == "plain"
            else None
        )
        if worker is not None:
            return worker
    raise AssertionError(f"no worker has a tree here\n{run.story}")


def assert_nothing_is_left(run: Run, lab: Lab) -> None:
    """Assert that no process of the run is alive anywhere."""
    tasks.wait_until_gone(run, lab)
    tasks.wait_until_nothing_is_left(run)


def traces(run: Run, lab: Lab) -> list[str]:
    """Return what was started on any machine besides the tree."""
    places = [*(host.root / "tmp" for host in lab), Path("/tmp")]
    return sorted(
        path.name
        for place in places
        for pattern in (f"trace-{run.row}-*", f"seen-{run.row}")
        for path in place.glob(pattern)
    )


def assert_over(run: Run, lab: Lab, feature: Feature, trigger: Trigger) -> None:
    """Assert that no process of the run is alive anywhere.

    None may have been started after the trigger.
    """
    assert_nothing_is_left(run, lab)
    assert run.wait(20) == trigger.status, run.story
    assert not traces(run, lab), f"{traces(run, lab)}\n{run.story}"
    others = {host.name for host in lab} - {*feature.grows_on}
    assert not [
        name
        for name in others
        if (lab[name].root / tree.READY.format(row=run.row).lstrip("/")).exists()
    ], run.story


def record_of(run: Run, root: Path) -> str:
    """Return what LOOK has written down on the machine with that root: a command line a line."""
    record = root / _RECORD.format(row=run.row).lstrip("/")
    assert record.exists(), f"no task came to the rescue\n{run.story}"
    return record.read_text()


def assert_rescued(run: Run, lab: Lab, feature: Feature) -> None:
    """Assert that the run has gone on, and that the rescue has found nothing of the tree."""
    assert run.wait(40) == feature.status_of_timeout, run.story
    assert_nothing_is_left(run, lab)
    if not feature.rescued:
        return
    roots = [
        *(host.root for host in feature.hosts_with_tree(lab)),
        *([Path("/")] if HERE in feature.grows_on else []),
    ]
    for root in roots:
        assert not re.findall(f"^tk-.*{run.row}.*", record_of(run, root), re.MULTILINE), run.story
    # A play that includes the controller itself has its last trace there.
    assert any(name.endswith("-after") for name in traces(run, lab)), run.story
