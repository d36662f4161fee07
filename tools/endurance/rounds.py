# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""One round: its runs are started, five of them are befallen, and all of it is judged."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.grace import packages
from tests.support.hosts import Host, Lab
from tests.support.run.playing import started
from tests.support.run.run import Run
from tests.support.run.waiting import PAUSE
from tests.support.trees.bystanders import Company

from . import judge, work
from .draw import Drawn
from .triggers import FULL_DISK, INTERRUPTED, TRIGGERS, UNHARMED, Scene

#: Seconds within which each run ends, with nine others beside it on two processors.
END_SECONDS = 180.0

#: Seconds after that in which the hosts are clean: a guardian that is alone tries again.
GONE_SECONDS = 90.0

#: Bytes of the disk of a run whose disk is to be full.
_DISK = "48m"


@dataclass
class Played:
    """A run of a round."""

    drawn: Drawn
    run: Run
    began: float
    word: judge.Word | None = None
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    #: Whether its trigger came while it ran.
    befallen: bool = False

    def __str__(self) -> str:
        return f"{self.drawn}, status {self.run.process.poll()}, {self.seconds:.1f} s"


@dataclass
class Outcome:
    """The result of a round."""

    played: Sequence[Played]
    seconds: float
    faults: list[str]

    @property
    def interrupted(self) -> int:
        """Number of runs that were there when their trigger came."""
        return sum(one.befallen for one in self.played)

    @property
    def usual(self) -> float | None:
        """Seconds that a run takes that nothing befalls; None if there is none."""
        seconds = sorted(one.seconds for one in self.played if not one.drawn.trigger)
        return seconds[len(seconds) // 2] if seconds else None


def play(
    lab: Lab,
    company: Company,
    drawn: Sequence[Drawn],
    programs: Mapping[str, Path],
    usual: float,
    keep: Path,
    *,
    collection: bool = True,
    gone_seconds: float = GONE_SECONDS,
) -> Outcome:
    """Play a round.

    `usual`: seconds that a run takes. `keep`: where all of it is copied if something is wrong.
    `collection`: False for a control, in which nothing guards the runs. `gone_seconds`: within
    which the hosts are clean after the last run.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        played = []
        for one in drawn:
            parent = stack.enter_context(_disk()) if one.trigger == FULL_DISK else Path("/tmp")
            planned = work.play(one, programs[one.core], parent, collection=collection)
            run = stack.enter_context(started(lab, planned))
            played.append(Played(one, run, time.monotonic()))
        timeline = _Timeline()
        for each in played:
            if each.drawn.trigger:
                timeline.at(each.began + each.drawn.at * usual, _firing(each, lab, timeline))
        _go_through(lab, played, timeline)
        faults = _judge(lab, company, played, gone_seconds)
        if faults:
            _keep(lab, played, faults, keep)
        _clear(lab, played)
    return Outcome(played, time.monotonic() - began, faults)


class _Timeline:
    """Actions, each with its moment."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do it at a moment of time.monotonic()."""
        self.waiting.append((moment, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it so many seconds from now."""
        self.at(time.monotonic() + seconds, action)

    def run_due(self) -> None:
        """Do what is due, in its order."""
        now = time.monotonic()
        due = sorted((one for one in self.waiting if one[0] <= now), key=lambda one: one[0])
        self.waiting = [one for one in self.waiting if one[0] > now]
        for dummy, action in due:
            action()


def _firing(each: Played, lab: Lab, timeline: _Timeline) -> Callable[[], None]:
    scene = Scene(each.run, lab, lab[each.drawn.hosts[0]], timeline.after)

    def fire() -> None:
        trigger = TRIGGERS[each.drawn.trigger]
        each.befallen = each.run.process.poll() is None
        if each.befallen:
            trigger.fire(scene)

    return fire


def _go_through(lab: Lab, played: Sequence[Played], timeline: _Timeline) -> None:
    """Return when each run has ended, and all has been done that was to be done."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        timeline.run_due()
        for each in played:
            if each.word is None and each.run.process.poll() is not None:
                each.word = judge.Word.of(lab, each.run)
                each.seconds = time.monotonic() - each.began
        missing = [each for each in played if each.word is None]
        if not missing and not timeline.waiting:
            return
        if time.monotonic() > deadline:
            for each in missing:
                each.faults.append(f"it has not ended after {END_SECONDS:g} s")
            return
        time.sleep(PAUSE)


def _judge(lab: Lab, company: Company, played: Sequence[Played], gone_seconds: float) -> list[str]:
    faults = []
    without_power = {
        each.drawn.hosts[0]
        for each in played
        if each.befallen and TRIGGERS[each.drawn.trigger].power
    }
    deadline = time.monotonic() + gone_seconds
    for each in played:
        alive = judge.alive_of(lab, each.run)
        while alive and time.monotonic() < deadline:
            time.sleep(5 * PAUSE)
            alive = judge.alive_of(lab, each.run)
        each.faults += [f"alive: {one}" for one in alive]
        trigger = TRIGGERS.get(each.drawn.trigger)
        left = judge.left_on_controller(each.run, directory=trigger is None or trigger.guardian)
        each.faults += [f"on the controller, {left}"] if left else []
        each.faults += [f"a lie: {lie}" for lie in (each.word.lies() if each.word else ())]
        went_on = trigger is None or not each.befallen or trigger.effect == UNHARMED
        ended_well = each.run.process.poll() == 0
        if went_on or ended_well and trigger is not None and trigger.effect == INTERRUPTED:
            each.faults += harm(lab, each)
        faults += [f"{each}: {fault}" for fault in each.faults]
    faults += [f"a bystander is dead: {one}" for one in company.dead(without_power)]
    for name in sorted(without_power):
        company.renew(name)
    for host in lab:
        faults += [f"left on {host.name}: {path}" for path in judge.left_on_host(host)]
        broken = judge.broken_package(host)
        faults += [f"the package on {host.name}: {broken}"] if broken else []
    return faults


def harm(lab: Lab, each: Played) -> list[str]:
    """Return how a run that was not interrupted differs from what it should be."""
    status = each.run.process.poll()
    if status != 0:
        return [f"nothing interrupted it, and its status is {status}"]
    return [
        f"missing on {name}: {lacking}"
        for name in each.drawn.hosts
        for lacking in work.missing(each.drawn, each.run, lab[name])
    ]


def _keep(lab: Lab, played: Sequence[Played], faults: Sequence[str], keep: Path) -> None:
    """Copy what is known of a round: runs, process tables, logs of sshd."""
    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    (keep / "faults.txt").write_text("\n".join([*faults, "", *map(str, played), ""]))
    for each in played:
        shutil.copytree(
            each.run.directory,
            keep / f"run-{each.drawn.number}-{each.run.row}",
            symlinks=True,
            ignore=lambda folder, names: [
                name for name in names if not _is_plain(Path(folder) / name)
            ],
        )
        word = each.word
        (keep / f"run-{each.drawn.number}-alive.txt").write_text(
            "\n".join(map(str, word.alive if word else ()))
        )
    for name, processes in lab.processes(system=True, zombies=True).items():
        (keep / f"{name}-processes.txt").write_text("\n".join(map(str, processes)))
    for host in lab:
        shutil.copy(host.sshd_log, keep / f"{host.name}-sshd.log")
    table = subprocess.run(
        ["ps", "-eo", "pid,ppid,pgid,sid,user,stat,lstart,args"],
        capture_output=True,
        text=True,
        check=True,
    )
    (keep / "processes.txt").write_text(table.stdout)


def _is_plain(path: Path) -> bool:
    return path.is_symlink() or path.is_dir() or path.is_file()


def _clear(lab: Lab, played: Sequence[Played]) -> None:
    """Remove the files of a round from its hosts."""
    with_package = {
        name for each in played if work.has_package(each.drawn) for name in each.drawn.hosts
    }
    for host in lab:
        if host.name in with_package:
            packages.remove(host)
        for path in (host.root / "tmp").iterdir():
            if any(each.run.row in path.name for each in played):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _disk() -> Iterator[Path]:
    """A small disk for one run."""
    # Several runs of a round may have one.
    place = Path(tempfile.mkdtemp(prefix="tk-disk-"))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=1777", "tmpfs", str(place)], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def prepare(hosts: Sequence[Host]) -> None:
    """Put the package on the hosts."""
    for host in hosts:
        packages.put_on(host)
