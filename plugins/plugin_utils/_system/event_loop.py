# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A loop over descriptors and timers that sleeps as long as nothing happens.

asyncio would do the same. Its import takes 60 ms in the main process of every run, or costs every
guardian 5 MB of private memory.
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import itertools
import os
import selectors
import time
import typing as t

Ready = t.Callable[[], object]

#: Seconds between two looks whether a child has ended, at first and at most.
_FIRST_REAP_SECONDS, _LAST_REAP_SECONDS = 0.002, 5.0

#: Maximum number of polls. Each one serves all descriptors that have something to read.
_MAX_POLLS = 10_000


def read_ready(descriptor: int) -> bytes | None:
    """Return what can be read from a non-blocking descriptor, and None at its end.

    Empty if a nested call has read everything already.
    """
    try:
        return os.read(descriptor, 65536) or None
    except BlockingIOError:
        return b""


class Timer:
    """A call that is due at a moment of the monotonic clock, unless it is cancelled before."""

    def __init__(self, call: Ready) -> None:
        self.call: Ready | None = call

    def cancel(self) -> None:
        """Cancel the call."""
        self.call = None


@dataclasses.dataclass
class _Watch:
    """The calls for one descriptor."""

    readable: Ready
    writable: Ready | None = None


class Loop:
    """Makes the calls that are ready, one at a time, in one thread."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def watch(self, descriptor: int, ready: Ready) -> None:
        """Call `ready` whenever `descriptor` can be read, or is at its end."""
        self._selector.register(descriptor, selectors.EVENT_READ, _Watch(ready))

    def when_writable(self, descriptor: int, ready: Ready | None) -> None:
        """Also call `ready` whenever the watched `descriptor` accepts bytes; None ends this."""
        watch: _Watch = self._selector.get_key(descriptor).data
        if watch.writable is not ready:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if ready else 0)
            self._selector.modify(descriptor, events, _Watch(watch.readable, ready))

    def unwatch(self, descriptor: int) -> None:
        """Stop watching this descriptor."""
        self._selector.unregister(descriptor)

    def after(self, seconds: float, call: Ready) -> Timer:
        """Call `call` once, `seconds` from now."""
        timer = Timer(call)
        heapq.heappush(self._timers, (self.clock() + seconds, next(self._order), timer))
        return timer

    def reap(self, pid: int, pause: float = _FIRST_REAP_SECONDS) -> None:
        """Let a child that was sent SIGKILL be waited for. It delays no other call.

        It may wait in the kernel for a device, and end only then.

        Args:
            pid: of the child.
            pause: seconds until the next look, if it has not ended.
        """
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0]
        except ChildProcessError:
            return  # this program ignores SIGCHLD
        if not ended:
            later = min(2 * pause, _LAST_REAP_SECONDS)
            self.after(pause, functools.partial(self.reap, pid, later))

    def run_while(self, wanted: t.Callable[[], bool]) -> None:
        """Serve as long as `wanted` returns true."""
        while wanted():
            self._serve(self._selector.select(self._pause()))
            self._fire()

    def poll(self) -> bool:
        """Serve what is ready at this moment, without waiting and without timers.

        Returns whether anything was ready.
        """
        ready = self._selector.select(0)
        self._serve(ready)
        return bool(ready)

    def catch_up(self) -> None:
        """Read all that was sent before this moment."""
        for dummy in range(_MAX_POLLS):
            if not self.poll():
                break

    def _serve(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, events in ready:
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                # An earlier call of this round may have removed this descriptor and closed it.
                if events & event and self._selector.get_map().get(key.fd) is key:
                    call = key.data.readable if event == selectors.EVENT_READ else key.data.writable
                    if call is not None:
                        call()

    def _pause(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self.clock()) if self._timers else None

    def _fire(self) -> None:
        while self._timers and self._timers[0][0] <= self.clock():
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                timer.call()
