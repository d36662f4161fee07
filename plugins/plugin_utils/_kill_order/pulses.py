# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pulses of a run: one for each host and user with asynchronous jobs in flight.

In containers, tasks without a job have one too, unless they are short.

A pulse lets a host see that the run is gone: its controller was killed whole, or cut off. See
docs/how_it_kills.md for the reasons, and `PulseProcess` for the process that keeps one.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import KillOrderTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import (
    bound_memory,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
    KillOrder,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.pulse_process import (
    PulseProcess,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
    Loop,
    Timer,
    read_ready,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import leave_parent

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease

#: Seconds after which a task has a pulse. Most are over by then. A pulse is one more process of the
#: engine, and one of Python in the container.
_SHORT_SECONDS = 1.0

#: Seconds within which the supervisor of a job has to be connected to the pulse.
_ATTACH_SECONDS = 20.0

#: Seconds that the end of a run waits until each host has read that its jobs may stay.
_RELEASE_SECONDS = 2.0

#: Times that a process which keeps a pulse is started again before any pulse was there.
_MOST_STARTS = 3


class _Keeper:
    """The process that keeps one pulse, as the guardian sees it."""

    def __init__(self, lease: Lease, pulses: Pulses) -> None:
        self.host = lease.host
        self._order, self._reach = lease.order, lease.reach
        self._pulses = pulses
        #: Lease id to the timer that ends the wait for its supervisor.
        self.held: dict[str, Timer] = {}
        #: Lease ids of the supervisors that were connected to this pulse. A supervisor takes any
        #: pulse of its run and user: not every one of them is held here.
        self.attached: set[str] = set()
        self.releasing: set[str] = set()
        self._jobs: set[str] = set()
        self._start_later: Timer | None = None
        self._leaves = True
        self._starts = 0
        self._was_up = self._ends = False
        self._failed = ""
        self._rest = b""
        self._pid = 0

    def _start(self) -> None:
        """Fork the process."""
        self._starts += 1
        self._ends = False
        self._leaves = True
        ends: list[int] = []
        try:
            ends += os.pipe()
            ends += os.pipe()
            self._pid = os.fork()
        except OSError as error:
            for descriptor in ends:
                os.close(descriptor)
            self._fail(f"no process could be started: {error.strerror}")
            return
        order_end, self._orders, self._answers, answer_end = ends
        self._pulses.page.note_pulse()
        if self._pid == 0:
            try:
                leave_parent(signal.SIG_DFL, order_end, answer_end)
                bound_memory()
                order = KillOrder.from_message(json.loads(self._order), json.loads(self._reach))
                PulseProcess(
                    order, self._pulses.main, self._pulses.page, order_end, answer_end
                ).run()
            finally:
                os._exit(0)
        os.close(order_end)
        os.close(answer_end)
        for descriptor in (self._orders, self._answers):
            os.set_blocking(descriptor, False)
        self._pulses.loop.watch(self._answers, self._read)

    def hold(self, name: str, *, polled: bool, starts_job: bool) -> None:
        """Keep the pulse for this lease too."""
        self.held[name] = self._pulses.loop.after(
            _ATTACH_SECONDS, functools.partial(self._miss, name, polled)
        )
        if starts_job:
            self._jobs.add(name)
        if self._pid:
            return
        if starts_job:
            self._begin()
        elif self._start_later is None:
            self._start_later = self._pulses.loop.after(_SHORT_SECONDS, self._begin)

    def _begin(self) -> None:
        self._forget_start()
        self._starts, self._failed, self._was_up = 0, "", False
        self._start()

    def _forget_start(self) -> None:
        if self._start_later is not None:
            self._start_later.cancel()
        self._start_later = None

    def has_job(self, name: str) -> bool:
        """Whether the command of this lease has started an asynchronous job."""
        return name in self._jobs

    def drop(self, name: str) -> None:
        """Keep the pulse for this lease no longer."""
        self.held.pop(name).cancel()
        self._jobs.discard(name)

    def show_end(self) -> None:
        """Let the host see the end of this pulse as a loss. It has a tree that is to end."""
        self._leaves = False

    def release(self, name: str) -> None:
        """Let the job of this lease stay on the host."""
        self.releasing.add(name)
        self._order_process(f"release {name}")

    def end_if_unused(self) -> None:
        """End the pulse if it has no lease, and no supervisor of another pulse's lease."""
        if self._ends or self.held or any(map(self._pulses.holds, self.attached)):
            return
        self._ends = True
        self._forget_start()
        self._order_process("leave" if self._leaves else "end")
        if not self._pid:
            self._pulses.forget(self)

    def note_attached(self, name: str) -> None:
        """Note that the supervisor of this lease is connected to a pulse."""
        self.held[name].cancel()

    def _order_process(self, line: str) -> None:
        if self._pid:
            try:
                os.write(self._orders, f"{line}\n".encode())
            except OSError:
                pass  # it has just ended
        else:
            self.releasing.clear()

    def _read(self) -> None:
        chunk = read_ready(self._answers)
        if chunk is None:
            self._over()
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            word, dummy, text = line.decode("utf-8", "replace").partition(" ")
            if word == "up":
                self._starts = 0
                self._was_up = True
            elif word == "attached":
                self.attached.add(text)
                self._pulses.note_attached(text)
            elif word == "released":
                self.releasing.discard(text)
                self._pulses.note_released()
            elif word == "failed":
                self._fail(text)

    def _over(self) -> None:
        self._pulses.loop.unwatch(self._answers)
        os.close(self._answers)
        os.close(self._orders)
        # It has ended, or is about to.
        os.kill(self._pid, signal.SIGKILL)
        self._pulses.loop.reap(self._pid)
        self._pid, self._rest = 0, b""
        self.releasing.clear()
        self.attached.clear()
        self._pulses.note_released()
        if not self.held:
            self._pulses.forget(self)
        elif not self._failed:
            if self._starts < _MOST_STARTS:
                self._start()
            else:
                self._fail("the process that keeps its pulse was killed")

    def _fail(self, reason: str) -> None:
        self._failed = reason
        if self.held:
            self._pulses.tell(self.host, reason, was_up=self._was_up)

    def _miss(self, name: str, polled: bool) -> None:
        """Tell the user that no supervisor is connected. A job that is not polled may be over.

        The supervisor may be connected to a pulse of an earlier guardian.
        """
        if name in self.held and polled and not (self._failed or self._pulses.earlier):
            self._pulses.tell(self.host, "no supervisor is connected to the pulse there")


class Pulses:
    """The pulses of one run. The guardian's loop calls every method."""

    def __init__(self, loop: Loop, main: ProcessId, page: RunPage) -> None:
        """Start nothing yet."""
        self.loop = loop
        self.main = main
        self.page = page
        #: Whether hosts may have pulses of an earlier guardian.
        self.earlier = page.had_pulse
        self._keepers: dict[tuple[str, bool], _Keeper] = {}
        self._of: dict[str, _Keeper] = {}
        self._told: set[tuple[str, str]] = set()
        self._unreported: list[str] = []
        self._when_released: t.Callable[[], None] | None = None

    def hold(self, lease: Lease) -> None:
        """Keep a pulse on the host of this lease, as long as the lease is open."""
        terms = KillOrderTerms.from_message(json.loads(lease.order))
        way = (lease.reach, terms.becomes)
        keeper = self._keepers.get(way)
        if keeper is None:
            keeper = self._keepers[way] = _Keeper(lease, self)
        self._of[lease.lease] = keeper
        keeper.hold(lease.lease, polled=not lease.terms.job, starts_job=lease.terms.starts_job)

    def holds(self, name: str) -> bool:
        """Whether this lease has a pulse."""
        return name in self._of

    def note_attached(self, name: str) -> None:
        """Note that the supervisor of this lease is connected to a pulse."""
        if name in self._of:
            self._of[name].note_attached(name)

    @property
    def held(self) -> t.Collection[str]:
        """The ids of the leases that have a pulse."""
        return self._of.keys()

    def release(self, *names: str, stays: bool = True) -> None:
        """Keep no pulse for these leases any more.

        Their supervisors may be connected to another pulse on their host: each of these is told.

        `stays`: whether their jobs may stay on the host. If not, the host ends them.
        """
        self._release(dict.fromkeys(names, stays), leaves=stays)

    def release_done(self, name: str) -> None:
        """Keep no pulse any more for this lease, whose command or job is done.

        A job of it may be running: it stays. Without one, its supervisor has ended.
        """
        if name in self._of:
            self._release({name: self._of[name].has_job(name)}, leaves=True)

    def _release(self, names: t.Mapping[str, bool], *, leaves: bool) -> None:
        """Release these leases.

        Args:
            names: whether to let the supervisor of each know that its tree may stay there.
            leaves: whether their pulses may end like those that are not needed. Otherwise the hosts
                end their trees.
        """
        own = {name: self._of.pop(name) for name in names if name in self._of}
        if not own:
            return
        of_host: dict[str, list[_Keeper]] = {}
        of_supervisor: dict[str, list[_Keeper]] = {}
        for keeper in self._keepers.values():
            of_host.setdefault(keeper.host, []).append(keeper)
            for name in keeper.attached & own.keys():
                of_supervisor.setdefault(name, []).append(keeper)
        for name, keeper in own.items():
            keeper.drop(name)
            attached = of_supervisor.get(name, [])
            if not leaves:
                for one in {keeper, *attached}:
                    one.show_end()
            if names[name]:
                # A host may have several names in the inventory.
                for one in {*of_host[keeper.host], *attached}:
                    one.release(name)
        for keeper in [*self._keepers.values()]:
            keeper.end_if_unused()

    def forget(self, keeper: _Keeper) -> None:
        """Forget a process that has ended, and has no leases."""
        self._keepers = {way: one for way, one in self._keepers.items() if one is not keeper}

    def when_released(self, call: t.Callable[[], None]) -> None:
        """Call once each host has read what was released, or does not answer in time."""
        self._when_released = call
        self.loop.after(_RELEASE_SECONDS, self._stop_waiting)
        self.note_released()

    def note_released(self) -> None:
        """Note that a host has read it."""
        if not any(keeper.releasing for keeper in self._keepers.values()):
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        call, self._when_released = self._when_released, None
        if call is not None:
            call()

    def tell(self, host: str, reason: str, was_up: bool = False) -> None:
        """Let the user know that this host has no pulse. Once for each reason.

        `was_up`: whether it had one, so that the supervisors there see its end.
        """
        if (host, reason) not in self._told:
            self._told.add((host, reason))
            self._unreported.append(
                f"treekill.remote: the pulse on {host} is lost, so its asynchronous jobs end there:"
                f" {reason}"
                if was_up
                else f"treekill.remote: what runs on {host} is NOT PROTECTED when the controller"
                f" is gone: {reason}"
            )
            self.page.note_news()

    def tell_unseen_end(self, host: str, connection: str) -> None:
        """Let the user know that this host may not see the end of the controller."""
        self.tell(
            host,
            f"it is not known whether the connection {connection} ends what it has started. Sweep"
            " the host then, by ansible-playbook treekill.remote.sweep. If that is intended, set"
            " treekill_on_disconnect: keep for it",
        )

    def take_unreported(self) -> tuple[str, ...]:
        """Return what the user has not read yet, once."""
        warnings, self._unreported = self._unreported, []
        self.page.clear_news()
        return tuple(warnings)
