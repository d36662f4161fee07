# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The events that interrupt, disturb or harm a run."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests.integration.faults import guardian
from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import controller
from tests.support.run.run import Run
from tests.support.trees.triggers import LOST_CONTROLLER

from .judge import run_ids

#: What a run becomes. INTERRUPTED: it ends at once. LOST: it fails in its own way, or ends well, if
#: it had nothing to lose. UNHARMED: it goes on as if nothing had happened.
INTERRUPTED, LOST, UNHARMED = "interrupted", "lost", "unharmed"

#: Seconds for which the guardian is stopped.
STOPPED_SECONDS = 20.0

#: Seconds until a network is whole again, and until a host has power again.
HEALED_SECONDS, POWER_SECONDS = 4.0, 2.0


@dataclass
class Scene:
    """A run, its host, and a way to do something later."""

    run: Run
    lab: Lab
    host: Host  #: the first of its hosts
    later: Callable[[float, Callable[[], None]], None]

    @property
    def processes(self) -> list[controller.Local]:
        """Return the processes of the run on this machine."""
        return controller.processes(self.run.row)

    def guardian(self) -> ProcessId | None:
        """Return its guardian; None if there is none now."""
        for path in self.run.directory.glob("tmp/treekill-*/socket"):
            listening = guardian.listeners(path)
            if len(listening) == 1:
                return listening.pop()
        return None

    def signal(self, number: int) -> None:
        """Send a signal to the main process, if that is alive."""
        if self.run.process.poll() is None:
            self.run.process.send_signal(number)


@dataclass(frozen=True)
class Trigger:
    """One of the things that can befall a run.

    `fire` does it. `effect`: what the run becomes. `host`: the run must be alone on its host.
    `power`: whether all processes of the host end. `guardian`: whether one is left that removes its
    directory. `before`: words before ansible-playbook.
    """

    fire: Callable[[Scene], None]
    effect: str = INTERRUPTED
    host: bool = False
    power: bool = False
    guardian: bool = True
    before: tuple[str, ...] = ()


def before(name: str) -> tuple[str, ...]:
    """Return the words that the trigger of that name needs before ansible-playbook."""
    return TRIGGERS[name].before if name else ()


def _sends(number: int) -> Callable[[Scene], None]:
    return lambda scene: scene.signal(number)


def _twice(scene: Scene) -> None:
    scene.signal(signal.SIGINT)
    scene.later(0.7, lambda: scene.signal(signal.SIGINT))


def _kill_group(scene: Scene) -> None:
    if scene.run.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(scene.run.process.pid, signal.SIGKILL)


def _kill_worker(scene: Scene) -> None:
    own = scene.guardian()
    for one in scene.processes:
        if one.ppid == scene.run.process.pid and one.is_ansible and one.id != own:
            one.id.kill()
            return


def _kill_guardian(scene: Scene) -> None:
    own = scene.guardian()
    if own is not None:
        own.kill()


def _stop_guardian(scene: Scene) -> None:
    own = scene.guardian()
    if own is not None:
        own.kill(signal.SIGSTOP)
        scene.later(STOPPED_SECONDS, lambda: own.kill(signal.SIGCONT))


def _kill_courier(scene: Scene) -> None:
    own = scene.guardian()
    scene.signal(signal.SIGINT)

    def kill() -> None:
        for one in scene.processes:
            if own is not None and one.ppid == own.pid and one.is_ansible:
                one.id.kill()
                return

    scene.later(0.15, kill)


def _kill_client(scene: Scene) -> None:
    for one in scene.processes:
        if one.is_ssh:
            one.id.kill()
            return


def _kill_masters(scene: Scene) -> None:
    # Before the first task there is none.
    with contextlib.suppress(AssertionError, OSError, ValueError):
        for master in controller.masters(scene.run.directory):
            master.kill()


def _kill_supervisor(scene: Scene) -> None:
    ids = run_ids(scene.run)
    for one in scene.host.processes("^treekill: supervisor of run "):
        if any(name in one.command for name in ids):
            one.id.kill()
            return


def _cut(scene: Scene) -> None:
    scene.host.cut()
    scene.signal(signal.SIGINT)
    scene.later(HEALED_SECONDS, scene.host.heal)


def _lose_power(scene: Scene) -> None:
    scene.host.power_off()
    scene.signal(signal.SIGINT)
    scene.later(POWER_SECONDS, scene.host.boot)


def _restart_sshd(scene: Scene) -> None:
    for one in scene.host.processes(r"^(sshd: )?/usr/sbin/sshd", system=True):
        one.id.kill(signal.SIGTERM)
    scene.later(0.3, lambda: _start_sshd(scene.host))


def _start_sshd(host: Host) -> None:
    host.run(["/usr/sbin/sshd", "-E", "/var/log/sshd.log"])


def _fill_disk(scene: Scene) -> None:
    scene.signal(signal.SIGSTOP)
    try:
        with (
            contextlib.suppress(OSError),
            open(scene.run.directory.parent / "filler", "wb", buffering=0) as filler,
        ):
            while True:  # until there is no space left
                filler.write(b"x" * 4096)
    finally:
        scene.signal(signal.SIGCONT)
    scene.signal(signal.SIGINT)


FULL_DISK = "its disk is full, and INT"

#: With the strategy free, ansible-core then waits for ever: it looks for no dead worker there.
KILLED_WORKER = "KILL of a worker"

TRIGGERS = {
    "INT": Trigger(_sends(signal.SIGINT)),
    "INT twice": Trigger(_twice),
    "TERM": Trigger(_sends(signal.SIGTERM)),
    "HUP": Trigger(_sends(signal.SIGHUP)),
    "KILL of main": Trigger(_sends(signal.SIGKILL)),
    "KILL of the group": Trigger(_kill_group),
    KILLED_WORKER: Trigger(_kill_worker, LOST),
    "KILL of the guardian": Trigger(_kill_guardian, UNHARMED, guardian=False),
    "guardian stopped for a time": Trigger(_stop_guardian, UNHARMED),
    "INT and KILL of a courier": Trigger(_kill_courier),
    "KILL of an ssh client": Trigger(_kill_client, LOST),
    "KILL of the ControlMasters": Trigger(_kill_masters, LOST),
    "KILL of a supervisor": Trigger(_kill_supervisor, LOST),
    "network cut, INT, healed": Trigger(_cut, host=True),
    "power lost, INT, booted": Trigger(_lose_power, host=True, power=True),
    "sshd restarted": Trigger(_restart_sshd, LOST, host=True),
    "controller killed": Trigger(
        _sends(signal.SIGKILL), guardian=False, before=LOST_CONTROLLER.before
    ),
    FULL_DISK: Trigger(_fill_disk, guardian=False),
}
