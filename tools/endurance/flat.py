# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Program that measures whether memory and descriptors stay flat over a long time.

`python -m tools.endurance.flat tasks 20000` in the environment of the tests.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.faults import guardian
from tests.support.hosts import Lab
from tests.support.run import controller
from tests.support.run.playing import Play, of_lab, started
from tests.support.run.run import Run, environ_of, program
from tests.support.run.waiting import until

#: Growth, in MiB and in descriptors, that is no growth: an allocator's, and that of one moment.
MEMORY_SLACK, DESCRIPTORS_SLACK = 1.0, 4

#: Samples of a measurement.
SAMPLES = 20

#: A program that uses Ansible as a library. It prints its memory and descriptors now and then.
LIBRARY = """
import os, sys
from ansible import context
from ansible.executor.playbook_executor import PlaybookExecutor
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.common.collections import ImmutableDict
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.manager import VariableManager

init_plugin_loader([])
nothing = dict.fromkeys(("become", "listhosts", "listtasks", "listtags", "start_at_task"))
inventory_file = os.environ["ANSIBLE_INVENTORY"].split(",")[0]
context.CLIARGS = ImmutableDict(
    **nothing, syntax=False, verbosity=0, forks=5, check=False, diff=False, connection="ssh",
    inventory=[inventory_file], extra_vars=[],
)

def state():
    with open("/proc/self/smaps_rollup") as file:
        lines = [line.split() for line in file]
    kib = sum(int(fields[1]) for fields in lines if fields[0].startswith("Private_"))
    print("STATE", kib / 1024, len(os.listdir("/proc/self/fd")), file=sys.stderr, flush=True)

count, playbook = int(sys.argv[1]), sys.argv[2]
for number in range(count):
    loader = DataLoader()
    inventory = InventoryManager(loader, [inventory_file])
    variables = VariableManager(loader, inventory)
    status = PlaybookExecutor([playbook], inventory, variables, loader, {}).run()
    if status:
        sys.exit("run %d failed with status %d" % (number, status))
    if (number + 1) % max(1, count // %SAMPLES%) == 0:
        state()
"""


@dataclass(frozen=True)
class Sample:
    """Memory and descriptors of a process at a moment."""

    mib: float  #: private memory
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        """Return those of this process. Raises FileNotFoundError, ProcessLookupError."""
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        kib = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        return cls(kib / 1024, len(os.listdir(f"/proc/{pid}/fd")))

    def __str__(self) -> str:
        return f"{self.mib:.1f} MiB, {self.descriptors} descriptors"


def main() -> int:
    """Measure, and return 1 if something grows."""
    parser = argparse.ArgumentParser(prog="python -m tools.endurance.flat", description=__doc__)
    parser.add_argument("what", choices=sorted(SUBJECTS))
    parser.add_argument("count", type=int, help="tasks, commands or runs")
    options = parser.parse_args()
    began = time.monotonic()
    samples = SUBJECTS[options.what](options.count)
    for sample in samples:
        print(sample)
    grows = growth(samples)
    seconds = time.monotonic() - began
    print(f"{options.what} {options.count}: {seconds:.0f} s; " + (grows or "nothing grows"))
    return 1 if grows else 0


def growth(samples: Sequence[Sample]) -> str:
    """Return what grows; nothing if all is flat. What is set up once grows in the first quarter."""
    if len(samples) < SAMPLES // 2:
        return f"there are {len(samples)} samples only"
    settled, last = samples[len(samples) // 4], samples[-1]
    words = []
    if last.mib > settled.mib + MEMORY_SLACK:
        words.append(f"memory grows from {settled.mib:.1f} to {last.mib:.1f} MiB")
    if last.descriptors > settled.descriptors + DESCRIPTORS_SLACK:
        words.append(f"descriptors grow from {settled.descriptors} to {last.descriptors}")
    return ", ".join(words)


def tasks(count: int) -> list[Sample]:
    """Return the guardian's state over a run of so many commands on one host."""
    loop = {
        "name": "Do it",
        "ansible.builtin.command": "true",
        "loop": f"{{{{ range(0, {count}) | list }}}}",
        "loop_control": {"label": ""},
    }
    return _guardian_of_loop(count, loop)


def _guardian_of_loop(count: int, task: dict[str, object]) -> list[Sample]:
    play = Play([task], sections={"ssh_connection": {"pipelining": True}})
    with Lab.up(count=1) as lab, started(lab, play) as run:
        process = guardian.guardian_of(run)
        return list(_sampled(process.pid, lambda: _leases(run), count, run))


def _leases(run: Run) -> int:
    """Return how many leases the journal of a run has seen."""
    return sum(
        path.read_bytes().count(b'"opened"')
        for path in (run.directory / "home/treekill/journal").glob("*.jsonl")
    )


def _sampled(pid: int, done: Callable[[], int], count: int, run: Run) -> Iterator[Sample]:
    """Sample a process each time that another part of the count is done."""
    for number in range(1, SAMPLES):
        part = count * number // SAMPLES
        until(
            lambda part=part: done() >= part or run.process.poll() is not None,
            3600,
            lambda: f"it stands still\n{run.story}",
        )
        if run.process.poll() is not None:
            break
        yield Sample.of(pid)
    assert run.wait(3600) == 0, run.story


def console(count: int) -> list[Sample]:
    """Return the guardian's state over a session of ansible-console with so many commands."""
    with Lab.up(count=1) as lab, _place(lab) as (directory, environ):
        row = environ[controller.MARK]
        session = subprocess.Popen(
            [program("ansible-console"), "web1"],
            env=environ,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert session.stdin is not None
        samples = []
        trace = lab["web1"].root / "tmp/done"
        for number in range(1, count + 1):
            session.stdin.write(f"shell echo {number} > /tmp/done\n")
            session.stdin.flush()
            if number % max(1, count // SAMPLES) == 0:
                until(
                    lambda number=number: trace.exists() and trace.read_text() == f"{number}\n",
                    600,
                    f"command {number} has not run",
                )
                samples.append(Sample.of(session.pid))
        session.stdin.close()
        assert session.wait(120) == 0
        controller.end(row, directory)
    return samples


def library(count: int) -> list[Sample]:
    """Return the state of one process that has so many runs."""
    with Lab.up(count=1) as lab, _place(lab) as (directory, environ):
        (directory / "runs.py").write_text(LIBRARY.replace("%SAMPLES%", str(SAMPLES)))
        (directory / "playbook.yml").write_text(
            '[{"hosts": "web1", "gather_facts": false, "tasks": [{"command": "true"}]}]'
        )
        python = Path(program("ansible-playbook")).with_name("python")
        done = subprocess.run(
            [str(python), "runs.py", str(count), "playbook.yml"],
            env=environ,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        controller.end(environ[controller.MARK], directory)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    states = re.findall(r"^STATE ([0-9.]+) ([0-9]+)$", done.stderr, re.MULTILINE)
    return [Sample(float(mib), int(descriptors)) for mib, descriptors in states]


@contextmanager
def _place(lab: Lab) -> Iterator[tuple[Path, dict[str, str]]]:
    """A directory and an environment for a program that is guarded."""
    with started(lab, Play([])) as run:
        assert run.wait(60) == 0, run.story
        environ = {
            **environ_of(run.row, run.directory, collection=True),
            **of_lab(run.directory, lab),
            "HOME": str(run.directory),
            "ANSIBLE_PIPELINING": "true",
        }
        yield run.directory, environ


#: What stays flat, by the word that asks for it.
SUBJECTS: dict[str, Callable[[int], list[Sample]]] = {
    "tasks": tasks,
    "console": console,
    "runs": library,
}

if __name__ == "__main__":
    sys.exit(main())
