# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host without Python, whose programs are busybox's.

Raw tasks are tracked, and a kill pass that is a shell script ends their trees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.integration.output.records import REPORT, wait_for_whole_report
from tests.support.coverage import covers
from tests.support.hosts import Host, HostProcess
from tests.support.hosts.errors import KindUnavailable, PackagesMissing
from tests.support.run import controller, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import census
from tests.support.trees.table import rest
from tests.support.trees.tree import label_of
from tests.support.trees.triggers import INT, KILL, TIMEOUT, Trigger

from .busybox import Busybox, busybox
from .containers import TransportLab
from .ends import ENDS, fire_of

#: A process reports that it is ready by a file with its name, and then sleeps. busybox takes its
#: own name for the program to run, so the name is an argument.
_PROLOGUE = r"""
ready=/tmp/ready-{{ row }} row={{ row }}
mkdir $ready
life=': > "$1/${0#tk-}"; while :; do sleep 7200; done'
"""
_EPILOGUE = "\n: > $ready/script-$row\nwhile :; do wait; sleep 1; done\n"

#: What the pass finds, each with the line that starts it.
FOUND = {
    "background": 'sh -c "$life" tk-background-$row $ready &',
    "grandchild": """sh -c 'sh -c "$1" "$0" "$2" & wait' tk-grandchild-$row "$life" $ready &""",
    "setsid": 'setsid sh -c "$life" tk-setsid-$row $ready &',
    "ignores-signals": (
        """(trap '' TERM HUP INT; exec sh -c "$life" tk-ignores-signals-$row $ready) &"""
    ),
    "stopped": (
        """sh -c ': > "$1/${0#tk-}"; kill -STOP $$; while :; do sleep 7200; done' """
        """tk-stopped-$row $ready &"""
    ),
    "setsid-cleared": 'env -i PATH="$PATH" setsid sh -c "$life" tk-setsid-cleared-$row $ready &',
    "daemon": '(setsid sh -c "$life" tk-daemon-$row $ready < /dev/null > /dev/null 2>&1 &)',
    "start-stop-daemon": (
        'start-stop-daemon -S -b -m -p $ready/pid -x /bin/sh -- -c "$life" '
        "tk-start-stop-daemon-$row $ready"
    ),
}

#: What it can't find: it descends from no process of the tree, and has no cookie.
LOST = {
    "daemon-cleared": (
        '(env -i PATH="$PATH" setsid sh -c "$life" tk-daemon-cleared-$row $ready < /dev/null '
        "> /dev/null 2>&1 &)"
    )
}

NOTE = "no Python there"


@pytest.fixture(scope="module")
def lab(namespaces: None) -> Iterator[TransportLab]:
    """One such host."""
    try:
        with busybox() as one:
            yield one
    except (KindUnavailable, PackagesMissing) as reason:
        pytest.skip(str(reason))


@pytest.fixture
def host(lab: TransportLab) -> Host:
    """The host, clean."""
    lab["web1"].reset()
    assert isinstance(lab["web1"], Busybox)
    assert not [path for path in (lab["web1"].root / "usr/bin").iterdir() if "python" in path.name]
    return lab["web1"]


def _raw(kinds: Sequence[str], action: str, trigger: Trigger) -> tasks.Task:
    text = _PROLOGUE + "\n".join({**FOUND, **LOST}[name] for name in kinds) + _EPILOGUE
    task: tasks.Task = {
        "name": "Grow a tree",
        action: text if action.startswith("ansible.") else {"cmd": text},
    }
    if trigger is TIMEOUT:
        return {
            "name": "Grow and rescue",
            "block": [{**task, "timeout": 3600}],
            "rescue": [{"name": "Rescue", "ansible.builtin.debug": {}}],
        }
    return task


def _bystanders(host: Host) -> list[HostProcess]:
    """Start the user's own processes, one of them with another run's cookie."""
    words = (
        "setsid sleep 7201 < /dev/null > /dev/null 2>&1 & "
        "TREEKILL=fedcba9876543210/89abcdef/4242/4241 setsid sleep 7202 < /dev/null > /dev/null "
        "2>&1 &"
    )
    host.run(["sh", "-c", words], user="ansible")
    return until(
        lambda: len(found := host.processes(r"^sleep 720[12]$")) == 2 and found,
        10,
        "the bystanders do not run",
    )


@contextmanager
def _grown(lab: TransportLab, host: Host, play: Play, kinds: Sequence[str]) -> Iterator[Run]:
    with started(lab, play) as run:
        ready = host.root / f"tmp/ready-{run.row}"
        wanted = {f"{name}-{run.row}" for name in (*kinds, "script")}
        until(
            lambda: (
                run.process.poll() is not None
                or (ready.is_dir() and wanted <= {path.name for path in ready.iterdir()})
            ),
            40,
            lambda: (
                f"these are not ready: {wanted - {path.name for path in ready.glob('*')}}\n"
                f"{run.story}"
            ),
        )
        assert run.process.poll() is None, run.story
        yield run


def _interrupt(run: Run, lab: TransportLab, trigger: Trigger) -> None:
    (fire_of(trigger) or trigger.fire)(run, lab)
    assert run.wait(60) == trigger.status, run.story


def _alive(host: Host, mine: Sequence[HostProcess]) -> list[str]:
    return [
        process.command
        for process in census.of_tree(host, frozenset(process.id for process in mine))
    ]


ACTIONS = ("ansible.builtin.raw", "treekill.remote.raw")


@pytest.mark.parametrize(
    ("action", "trigger", "tty"),
    [
        pytest.param(
            action,
            trigger,
            tty,
            id=f"{action}, {trigger.name}, {'tty' if tty else 'no tty'}",
            marks=[
                covers("Hosts without Python", f"{action} on busybox and dropbear", ENDS[trigger]),
                *([] if action == ACTIONS[0] and tty else [rest]),
            ],
        )
        for action in ACTIONS
        for trigger in ENDS
        for tty in (True, False)
    ],
)
def test_the_shell_ends_what_it_can_find(
    lab: TransportLab, host: Host, action: str, trigger: Trigger, tty: bool
) -> None:
    """The recap also reports what it could not have found."""
    mine = _bystanders(host)
    # dropbear takes no command of more than 9000 bytes. The one with a supervisor's program is
    # longer.
    options = {"kill_timeout": 1, "supervise": action == ACTIONS[0]}
    play = Play(
        [_raw([*FOUND], action, trigger)],
        options=options,
        sections={"ssh_connection": {"usetty": tty}},
    )
    with _grown(lab, host, play, [*FOUND]) as run:
        _interrupt(run, lab, trigger)
        until(
            lambda: not _alive(host, mine), 20, lambda: f"alive: {_alive(host, mine)}\n{run.story}"
        )
        tasks.wait_until_nothing_is_left(run)
        assert all(one.id.alive() for one in mine), run.story
        if trigger.recap:
            assert re.search(r"web1 ?: ended [1-9]\d* .*survivors 0", tasks.said(run)), run.story
            assert NOTE in tasks.said(run), run.story


#: Names of the one host. ssh has one connection for all of them.
NAMES = ("web1", "again")


def test_orders_that_share_a_connection_do_not_cut_each_other_off(
    lab: TransportLab, host: Host
) -> None:
    """dropbear closes the connection if a long command comes.

    The order that comes later would end the one that waits for the end of a grace period. Both go
    over the connection of the tasks, which is still open afterwards.
    """
    marked = "/tmp/stands-{{ row }}-{{ inventory_hostname }}"
    text = f"trap '' TERM; : > {marked}; while :; do sleep 1; done"
    again = {
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.login,
        "ansible_ssh_private_key_file": str(lab.key),
        "ansible_ssh_common_args": f"-F {lab.ssh_config}",
    }
    play = Play(
        [{"name": "Stand", ACTIONS[0]: text}],
        hosts=NAMES,
        host_variables=dict.fromkeys(NAMES[1:], again),
        options={"kill_timeout": 2, "report_path": REPORT},
    )
    with started(lab, play) as run:
        until(
            lambda: all((host.root / f"tmp/stands-{run.row}-{name}").exists() for name in NAMES),
            40,
            lambda: f"not all stand\n{run.story}",
        )
        (master,) = controller.masters(run.directory)
        INT.fire(run, lab)
        trees = wait_for_whole_report(run)["trees"]
        assert [tree["outcome"] for tree in trees] == ["confirmed"] * len(NAMES), run.story
        assert controller.masters(run.directory) == [master], run.story
        assert run.wait(60) == INT.status, run.story
        assert not _alive(host, []), run.story


@pytest.mark.parametrize(
    "trigger", [INT, pytest.param(TIMEOUT, marks=rest)], ids=lambda trigger: trigger.name
)
def test_what_it_can_not_find_is_told(lab: TransportLab, host: Host, trigger: Trigger) -> None:
    """A daemon that has left its parents and cleared its environment lives on.

    Without Python there is no supervisor.
    """
    mine = _bystanders(host)
    play = Play([_raw([*FOUND, *LOST], ACTIONS[0], trigger)], options={"kill_timeout": 1})
    with _grown(lab, host, play, [*FOUND, *LOST]) as run:
        _interrupt(run, lab, trigger)
        left = {label_of(command, run.row) for command in _alive(host, mine)} - {None}
        assert left == {*LOST}, run.story
        assert NOTE in tasks.said(run), run.story


@pytest.mark.parametrize(
    "trigger", [INT, pytest.param(KILL, marks=rest)], ids=lambda trigger: trigger.name
)
def test_without_the_collection_the_tree_survives(
    lab: TransportLab, host: Host, trigger: Trigger
) -> None:
    """The control."""
    play = Play([_raw([*FOUND], ACTIONS[0], trigger)], collection=False)
    with _grown(lab, host, play, [*FOUND]) as run:
        _interrupt(run, lab, trigger)
        left = {label_of(command, run.row) for command in _alive(host, [])}
        assert left >= {
            "setsid",
            "ignores-signals",
            "setsid-cleared",
            "daemon",
            "start-stop-daemon",
        }, run.story
