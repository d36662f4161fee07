# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The work of each of many runs on the host.

Its tasks are short. Each has a tree of its own, which ends with the task, and only if the task ends
it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hosts import Host, HostProcess, Lab
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.trees import census

Task = dict[str, Any]

#: Seconds until a task gives up processes of its tree that do not answer: another process has
#: killed them.
_ANSWER_SECONDS = 60

#: Each process of the tree waits for a line of its own, without a time limit. No other process gets
#: that line. The process reports when it had it.
_WORK = r"""
place=/tmp/work-$WORK
mkdir -m 777 $place
mkfifo -m 666 $place/over
exec 9<> $place/over
export child='read -r word <> "$1/over"; : > "$1/${0#tk-}"'
kinds="background setsid ignores-signals daemon daemon-cleared $MORE"
bash -c "$child" tk-background-$WORK $place &
setsid bash -c "$child" tk-setsid-$WORK $place &
(trap '' TERM HUP INT; exec bash -c "$child" tk-ignores-signals-$WORK $place) &
( (exec setsid bash -c "$child" tk-daemon-$WORK $place) < /dev/null > /dev/null 2>&1 & )
( (exec env -i PATH="$PATH" setsid bash -c "$child" tk-daemon-cleared-$WORK $place) \
    < /dev/null > /dev/null 2>&1 & )
case $MORE in *sudo*) sudo -n bash -c "$child" tk-sudo-$WORK $place & ;; esac
read -rt $LASTS word <> <(:)
for kind in $kinds; do echo >&9; done
deadline=$((SECONDS + ANSWER_SECONDS))
for kind in $kinds; do
    until [ -e $place/$kind-$WORK ]; do
        [ $SECONDS -lt $deadline ] || { echo "$kind does not answer"; exit 1; }
        read -rt 0.05 word <> <(:)
    done
done
echo $NUMBER >> $RESULTS
echo $WORK is done
"""


#: Where a run is before its first task, and after its last.
SET_UP, AT_END = "set-up", "at the end, or after it"


@dataclass(frozen=True)
class Flavour:
    """Way in which a run reaches the host and runs its tasks. All log in as one user."""

    name: str
    pipelining: bool = False
    keywords: Mapping[str, Any] = field(default_factory=dict)  #: of the play
    variables: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)  #: keywords of each task with a tree
    more: str = "sudo"  #: kinds that only some users can start


_OTHER: dict[str, Any] = {
    "keywords": {"become": True, "become_user": "other"},
    "variables": {"ansible_shell_allow_world_readable_temp": True},
    "more": "",
}

FLAVOURS = (
    Flavour("tty"),
    Flavour("pipelining", pipelining=True),
    Flavour("become root, pipelining", pipelining=True, keywords={"become": True}),
    Flavour("become another user", **_OTHER),
    Flavour("async", task={"async": 600, "poll": 4}),
)


def work(number: int, lasts: float, flavour: Flavour, **keywords: Any) -> Task:
    """Return task `number` of a run.

    Its tree lives for about so many seconds, and then is gone without help.
    """
    environment = {
        "WORK": f"{{{{ row }}}}-{number}",
        "NUMBER": str(number),
        "LASTS": f"{lasts:.2f}",
        "MORE": flavour.more,
        "RESULTS": "/tmp/results-{{ row }}",
    }
    shell = {"cmd": "{{ lookup('file', 'work.sh') }}", "executable": "/bin/bash"}
    return {
        "name": f"Work {number}",
        "ansible.builtin.shell": shell,
        "environment": environment,
        **flavour.task,
        **keywords,
    }


def script(answer_seconds: int = _ANSWER_SECONDS) -> str:
    """Return the file `work.sh` beside the playbook, which each task of `work` runs."""
    return _WORK.replace("ANSWER_SECONDS", str(answer_seconds))


def play(
    flavour: Flavour,
    tasks: list[Task],
    sockets: Path,
    *,
    collection: bool = True,
    answer_seconds: int = _ANSWER_SECONDS,
) -> Play:
    """Return the play of a run.

    `sockets`: where it meets the ControlMaster that all of them share, as those of one user do.
    """
    return Play(
        tasks,
        keywords=flavour.keywords,
        variables=flavour.variables,
        options={"kill_timeout": 1},
        sections={
            "defaults": {"log_path": "log.txt"},
            "ssh_connection": {"pipelining": flavour.pipelining, "control_path_dir": str(sockets)},
        },
        files={"work.sh": script(answer_seconds)},
        collection=collection,
    )


@contextmanager
def lasting(
    lab: Lab, flavour: Flavour, rng: random.Random, sockets: Path, stop: Path
) -> Iterator[Run]:
    """Return a run that is not interrupted.

    It works while the file `stop` is missing, and then ends well by itself.
    """
    daemon = (
        "nohup setsid bash -c 'exec -a tk-left-{{ row }} sleep 7200' < /dev/null > /dev/null 2>&1 &"
    )
    left = {"name": "Leave a daemon on purpose", "ansible.builtin.shell": daemon}
    until_stop = {"when": f"not ('{stop}' is exists)"}
    tasks = [work(number, rng.uniform(3, 8), flavour, **until_stop) for number in range(1, 100)]
    with started(lab, play(flavour, [left, *tasks], sockets)) as run:
        yield run


@contextmanager
def short(lab: Lab, flavour: Flavour, sockets: Path, timeout: int | None = None) -> Iterator[Run]:
    """Return a run to be interrupted: it sends a file, and has two tasks with a tree.

    `timeout`: seconds of a third, which lasts longer than that.
    """
    send = {
        "name": "Send",
        "ansible.builtin.copy": {
            "content": "x" * 100_000,
            "dest": "/tmp/sent-{{ row }}",
            "mode": "0644",
        },
    }
    working = [work(number, 0.3, flavour) for number in (1, 2)]
    if timeout is not None:
        working.append(work(3, 3600, flavour, timeout=timeout))
    with started(lab, play(flavour, [send, *working], sockets)) as run:
        yield run


def log_of(run: Run) -> str:
    """Return what it has logged so far: what it prints stays in its buffer."""
    path = run.directory / "log.txt"
    return path.read_text(errors="replace") if path.exists() else ""


def stage_of(run: Run) -> str:
    """Return where it is, in words that can be counted."""
    log = log_of(run)
    if run.process.poll() is not None or "PLAY RECAP" in log:
        return AT_END
    begun = re.findall(r"TASK \[(\w+)", log)
    if not begun:
        return SET_UP
    if len(re.findall(r"(?:changed|ok): \[", log)) >= len(begun):
        return "between tasks"
    return "in the transfer of a file" if begun[-1] == "Send" else "in a task with a tree"


def processes_of(host: Host, run: Run) -> list[HostProcess]:
    """Return what is alive of that run on the host, but for the keeper of a report."""
    return [
        one
        for one in host.processes()
        if run.row in f"{one.command} {one.environ or {}}"
        and not one.command.startswith(census.REPORT)
    ]


def assert_ended_well(run: Run, host: Host) -> int:
    """Assert that it has done each task in turn, and that what it left on purpose was not touched.

    Return how many tasks.
    """
    assert run.wait(120) == 0, run.story
    done = _results(run, host)
    recap = re.search(r"web1 +: ok=(\d+) .*unreachable=0 +failed=0", run.output)
    assert recap, run.story
    # The daemon is the first.
    assert int(recap[1]) == done + 1, run.story
    assert host.processes(f"^tk-left-{run.row}"), f"what it left on purpose is gone\n{run.story}"
    return done


def _results(run: Run, host: Host) -> int:
    numbers = (host.root / f"tmp/results-{run.row}").read_text().split()
    assert numbers == [str(number + 1) for number in range(len(numbers))], f"{numbers}\n{run.story}"
    return len(numbers)
