# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time from the trigger until the last process is gone.

It is measured beside what an administrator would type.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import controller, run
from tests.support.run.play import Setting
from tests.support.run.run import Run
from tests.support.trees import census, tree

from .figure import Figure, by_turns, compared, seconds
from .masters import Masters
from .watch import Watch

_PAIRS = 5

_CHANNEL_SECONDS = 0.3
_RECAP_SECONDS = 0.25

_WHAT = "{}, a cooperative tree: from the trigger until the last process is gone"


@dataclass(frozen=True)
class Scene:
    """A run in flight, with its tree running on every host."""

    run: Run
    hosts: Sequence[Host]
    masters: Masters

    @property
    def pattern(self) -> str:
        """Pattern for `pkill -f`.

        The command line of every process of the tree has it. That of the shell that runs pkill does
        not.
        """
        return f"[{self.run.row[0]}]{self.run.row[1:]}"


@contextmanager
def standing(
    hosts: Sequence[Host], lab: Lab, *, collection: bool, supervise: bool, pipelining: bool
) -> Iterator[tuple[Scene, list[ProcessId]]]:
    """Run a cooperative tree on all hosts, and yield it with its processes."""
    for host in hosts:
        host.reset()
    known = {
        name: frozenset(process.id for process in processes)
        for name, processes in lab.processes().items()
    }
    setting = Setting(
        hosts=len(hosts),
        # Each host is served by a worker of its own.
        forks=max(25, len(hosts)),
        pipelining=pipelining,
        kinds=tree.COOPERATIVE,
        kill_timeout=10,
        supervise=supervise,
    )
    with run.started(lab, setting, collection=collection) as one, Masters(lab, hosts) as masters:
        census.wait_for_tree(one, hosts, known)
        # The daemon that the first task left on purpose has no label of a kind, and is not waited
        # for.
        victims = [
            process.id
            for name, processes in lab.processes().items()
            for process in processes
            if process.id not in known[name] and tree.label_of(process.command, one.row) in _ENDED
        ]
        yield Scene(one, hosts, masters), victims


def seconds_until_gone(
    hosts: Sequence[Host],
    lab: Lab,
    end: Callable[[Scene], None],
    *,
    collection: bool,
    supervise: bool = True,
    pipelining: bool = True,
) -> float:
    """Run a cooperative tree on all hosts, and measure its end.

    The time is from the call of `end` until the last process of it is gone.
    """
    with ExitStack() as stack:
        scene, victims = stack.enter_context(
            standing(hosts, lab, collection=collection, supervise=supervise, pipelining=pipelining)
        )
        watch = stack.enter_context(Watch(victims))
        began = time.monotonic()
        end(scene)
        watch.wait()
        return time.monotonic() - began


_ENDED = {*tree.COOPERATIVE, "plain", "script"}


def twenty_against_xargs(lab: Lab) -> Iterator[Figure]:
    """Measure twenty hosts, and `xargs -P20 ssh HOST pkill`."""
    hosts = list(lab)
    for supervise, limit in ((True, 1.0), (False, 2.0)):
        mine, its = _by_turns(hosts, lab, xargs_pkill, supervise)
        what = _WHAT.format(
            f"{len(hosts)} hosts in flight, `supervise` {'on' if supervise else 'off'}"
        )
        yield compared(
            what,
            f"`xargs -P{len(hosts)} ssh HOST pkill` over warm ControlMasters",
            mine,
            its,
            limit,
        )


def twenty_against_ansible(lab: Lab) -> Figure:
    """Measure twenty hosts, and another ansible."""
    hosts = list(lab)
    mine, its = _by_turns(hosts, lab, _ansible_pkill)
    return compared(
        "the same",
        "`ansible all -m shell -a pkill` over warm ControlMasters",
        mine,
        its,
        12.0,
        faster=True,
    )


def one_against_ssh(lab: Lab) -> Figure:
    """Measure one host, and the least that ssh can do."""
    hosts = list(lab)[:1]
    mine, its = by_turns(
        lambda: seconds_until_gone(hosts, lab, interrupt, collection=True),
        lambda: _ssh_true(hosts[0], lab),
        _PAIRS,
    )
    return compared(
        _WHAT.format("one host in flight"),
        "`ssh HOST true` over a warm ControlMaster",
        mine,
        its,
        8.0,
    )


def one_until_recap(lab: Lab) -> Iterator[Figure]:
    """Measure one host, from the trigger until the recap says that nothing has survived."""
    for pipelining in (True, False):
        took = statistics.median(_seconds_until_recap(lab, pipelining) for dummy in range(_PAIRS))
        yield Figure(
            "one host in flight, "
            + ("pipelining" if pipelining else "a terminal on the host (no pipelining)")
            + ", a cooperative tree: from the trigger until the recap",
            seconds(took),
            "",
            "",
            f"at most {_RECAP_SECONDS:g} s",
            took <= _RECAP_SECONDS,
        )


def _seconds_until_recap(lab: Lab, pipelining: bool) -> float:
    hosts = [*lab][:1]
    for host in hosts:
        host.reset()
    known = {host.name: frozenset(process.id for process in host.processes()) for host in hosts}
    setting = Setting(hosts=1, pipelining=pipelining, kinds=tree.COOPERATIVE, kill_timeout=10)
    with run.started(lab, setting, collection=True) as one:
        census.wait_for_tree(one, hosts, known)
        began = time.monotonic()
        one.process.send_signal(signal.SIGINT)
        while "survivors 0" not in one.errors:
            if one.process.poll() is not None and "survivors 0" not in one.errors:
                raise AssertionError(f"it has no such recap\n{one.story}")
            time.sleep(0.001)
        return time.monotonic() - began


def channel_until_gone(lab: Lab) -> Figure:
    """Measure one host whose ssh client is killed, without a kill order.

    The supervisor works alone.
    """
    hosts = list(lab)[:1]
    took = statistics.median(
        seconds_until_gone(hosts, lab, _kill_clients, collection=True) for dummy in range(_PAIRS)
    )
    return Figure(
        "a channel breaks, a cooperative tree: until the last process is gone",
        seconds(took),
        "",
        "",
        f"at most {_CHANNEL_SECONDS:g} s",
        took <= _CHANNEL_SECONDS,
    )


def _kill_clients(scene: Scene) -> None:
    local = controller.processes(scene.run.row)
    for process in [one for one in local if one.is_ansible] + [one for one in local if one.is_ssh]:
        process.id.kill()


def _ssh_true(host: Host, lab: Lab) -> float:
    with Masters(lab, [host]) as masters:
        command = [*masters.ssh, host.address, "true"]
        # The first one starts what a login starts only once.
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        began = time.monotonic()
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return time.monotonic() - began


def _by_turns(
    hosts: Sequence[Host], lab: Lab, baseline: Callable[[Scene], None], supervise: bool = True
) -> tuple[list[float], list[float]]:
    return by_turns(
        lambda: seconds_until_gone(hosts, lab, interrupt, collection=True, supervise=supervise),
        lambda: seconds_until_gone(hosts, lab, baseline, collection=False),
        _PAIRS,
    )


def interrupt(scene: Scene) -> None:
    """Interrupt the run as Ctrl-C does."""
    scene.run.process.send_signal(signal.SIGINT)


def xargs_pkill(scene: Scene) -> None:
    """Kill by hand: one ssh client for each host, all at once, over warm connections."""
    command = [
        "xargs",
        "-P",
        str(len(scene.hosts)),
        "-I",
        "HOST",
        *scene.masters.ssh,
        "HOST",
        f"pkill -f '{scene.pattern}'",
    ]
    # pkill's status shows whether it found a process, and the watch sees that it did.
    subprocess.run(
        command,
        input="".join(f"{host.address}\n" for host in scene.hosts),
        text=True,
        capture_output=True,
        check=False,
    )


def _ansible_pkill(scene: Scene) -> None:
    one = scene.run
    command = [
        run.program("ansible"),
        "targets",
        "-m",
        "ansible.builtin.shell",
        "-a",
        f"pkill -f '{scene.pattern}'",
    ]
    environ = run.environ_of(one.row, one.directory, collection=False)
    # It uses the connections that the run in flight has opened.
    subprocess.run(
        command,
        env=environ,
        cwd=one.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
