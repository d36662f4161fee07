# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guarded run, seen from its main process: guardian, signals, and the wait for the report at the end.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import multiprocessing
import os
import secrets
import select
import signal
import socket
import sys
import time
import types
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils import _front_end, _guardian_process, _rendezvous
from ansible_collections.treekill.remote.plugins.plugin_utils._after_plan import AfterPlan
from ansible_collections.treekill.remote.plugins.plugin_utils._courier import PATIENCE
from ansible_collections.treekill.remote.plugins.plugin_utils._fork import RUN_SIGNALS, RunPipes
from ansible_collections.treekill.remote.plugins.plugin_utils._in_flight import KILLED, LOST, InFlight
from ansible_collections.treekill.remote.plugins.plugin_utils._last_words import say
from ansible_collections.treekill.remote.plugins.plugin_utils._link import Link, announce
from ansible_collections.treekill.remote.plugins.plugin_utils._local_processes import identify, wake_descendants
from ansible_collections.treekill.remote.plugins.plugin_utils._options import KillOptions, RecordOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._progress import Progress
from ansible_collections.treekill.remote.plugins.plugin_utils._recap import Recap, screen_of
from ansible_collections.treekill.remote.plugins.plugin_utils._silence import GuardianSilent, Silence
from ansible_collections.treekill.remote.plugins.plugin_utils._wire import Channel, Message, WireError

_FREEZE_SECONDS = 2.0
"""The longest that the signal handler waits for the guardian to have frozen the clients, which takes it some 5 ms. What core does
after the handler has raised kills the workers."""

_A_LITTLE = 15.0
"""Seconds that the main process waits beyond the grace: for connections, and for passes that find more than they expected."""

display = Display()


class StopWaiting(Exception):
    """The user pressed Ctrl-C for the third time."""


class GuardedRun:
    """One for each main process, from its first play to its last breath; in a process that runs many commands, one for each command."""

    def __init__(self, options: KillOptions, records: RecordOptions) -> None:
        self.options = options
        self._main = identify(os.getpid())
        # All four ends stay open here: a write to the wake pipe must not fail while there is no guardian, or the interpreter prints a traceback.
        lifeline, self._held_end = os.pipe()
        wake, self._wake_end = os.pipe()
        self.link = Link(run=secrets.token_hex(8), main=self._main, announced=True, pipes=RunPipes(lifeline, wake), records=records)
        self._after: AfterPlan | None = None
        self._guardian: socket.socket | None = None
        self._met_at: tuple[int, int] | None = None
        """Which file the guardian's socket was."""
        self.in_flight: InFlight | None = None
        self._before: dict[int, t.Any] = {}
        self._handlers_were_lost = False
        self._received: list[int] = []
        self._waiting = False
        self._enough = 2
        """So many signals are an order to somebody; one more ends the wait."""

    def start(self) -> None:
        """Start the guardian, and listen for signals.

        Raises:
            RendezvousError, OSError: there can be no guardian.
        """
        self._meet_guardian()
        # The interpreter's own C handler writes the signal's number there, even while the main thread is stuck in a lock or in C.
        os.set_blocking(self._wake_end, False)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        announce(self.link)
        os.register_at_fork(after_in_child=self._in_child)
        for number in RUN_SIGNALS:
            before = signal.getsignal(number)
            # Ignored signals stay ignored: HUP under nohup, INT in a job that a shell put into the background.
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._on_signal)
        atexit.register(self._at_exit)

    def _meet_guardian(self) -> None:
        path = _guardian_process.ensure(self.link.run, self._main, self.link.pipes, self.link.records)
        os.environ[_rendezvous.ENVIRONMENT] = path
        connection = _rendezvous.connect(path, timeout=5.0)
        before, self._guardian, self._met_at = self._guardian, connection, _rendezvous.identity(path)
        Channel(connection).send({"op": "main", "front": self._front(), "after_kill": self._after_message()})
        if before is not None:
            with contextlib.suppress(OSError):
                # That one can't be found any more, but may be there: what comes after the kill is not to be run twice.
                Channel(before).send({"op": "after", "after_kill": None})
            before.close()

    def run_after(self, plan: AfterPlan | None) -> None:
        """Have the guardian know what to run after the kill: nothing with None, as before the first call."""
        self._after = plan
        if self._guardian is not None:
            with contextlib.suppress(OSError):
                # It is gone: the next one that is met is told.
                Channel(self._guardian).send({"op": "after", "after_kill": self._after_message()})

    def _after_message(self) -> Message | None:
        return self._after.to_message() if self._after is not None else None

    def _front(self) -> Message | None:
        """The program whose end is the end of the run, as the guardian is told."""
        front = _front_end.find(self._main.pid)
        return None if front is None else {"name": front.name, "pid": front.process.pid, "start": front.process.start}

    def keep_alive(self) -> None:
        """Called now and then while the run goes on: where the guardian has died, or can't be found any more, meet another and warn."""
        if self._received:
            return
        self._keep_handlers()
        if self._guardian is None:
            return
        killed = _has_hung_up(self._guardian)
        if not self._is_another(killed):
            return
        try:
            self._meet_guardian()
        except (OSError, _rendezvous.RendezvousError, _rendezvous.WrongPeer) as error:
            self._guardian = None
            display.warning(f"treekill.remote: the guardian of this run is gone, and no other can be had: {error}. Protection is lost.")
        else:
            display.warning(
                "treekill.remote: the guardian of this run was killed; another one has taken over. Tasks in flight at that moment are not protected."
                if killed
                else "treekill.remote: the guardian of this run can't be found any more: its socket was removed. Another one has taken over."
                " Tasks in flight at that moment are ended with the run, but its recap does not tell of them."
            )

    def _is_another(self, killed: bool) -> bool:
        """Whether whoever is asked now is not the guardian that was met: it does not know the leases of what is in flight."""
        if not killed and _rendezvous.identity(os.environ[_rendezvous.ENVIRONMENT]) == self._met_at:
            return False
        if self.in_flight is not None:
            self.in_flight.lose_guardian(KILLED if killed else LOST)
        return True

    def _keep_handlers(self) -> None:
        """Where something in this process has taken our place at a signal, take it again, and say so once: it may come back."""
        lost = [number for number in self._before if signal.getsignal(number) != self._on_signal]
        for number in lost:
            signal.signal(number, self._on_signal)
        if lost and not self._handlers_were_lost:
            self._handlers_were_lost = True
            names = ", ".join(signal.Signals(number).name for number in lost)
            display.warning(
                f"treekill.remote: another plugin, or this ansible-core, has replaced the signal handlers of this run ({names}); they are put back at the start"
                " of each task. Between that and such a signal the run may end without a recap; what it leaves is ended all the same."
            )

    def _in_child(self) -> None:
        """In each fork of the main process: its signals are its own business."""
        if os.getpid() == self._main.pid:
            return
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        atexit.unregister(self._at_exit)

    # Signals.

    def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
        """The guardian knows already (set_wakeup_fd). Nothing is printed here: the signal may have interrupted a print.

        The first one unwinds the run, once the clients stand still. The second has told the guardian to skip the grace. The third ends the wait.
        """
        self._received.append(number)
        if len(self._received) == 1:
            self._await_freeze()
            raise _unwinding(number)
        if self._waiting and len(self._received) > self._enough:
            raise StopWaiting

    def unwind_still(self) -> None:
        """Called by the main thread where core tells what goes on: after an interruption nothing should, so its exception got lost, and is raised once more.

        The interpreter drops what a handler raises in a hook: after a fork, in a finalizer. The run would go on, each task would be refused, and a play that
        ignores errors would end well.
        """
        if self._received:
            raise _unwinding(self._received[0])

    def _await_freeze(self) -> None:
        if self._guardian is None:
            return
        readable = select.poll()
        readable.register(self._guardian, select.POLLIN)
        readable.poll(_FREEZE_SECONDS * 1000)

    # The end.

    def _at_exit(self) -> None:
        """Runs when core has cleaned up, before the interpreter does: wait for the report, show it, and end as the run would have ended."""
        self._conclude()
        self._die_as_signalled()

    def finish(self) -> None:
        """The run is over and its process goes on: wait for the report and show it, and leave the process as it was before."""
        if self._received and self._received[0] != signal.SIGINT:
            return  # It does not go on.
        self._conclude()
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        self._leave_guardian()
        for descriptor in (*dataclasses.astuple(t.cast(RunPipes, self.link.pipes)), self._held_end, self._wake_end):
            os.close(descriptor)

    def _leave_guardian(self) -> None:
        """It may still try hosts that could not be reached, and the next run has another."""
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        path = os.environ.pop(_rendezvous.ENVIRONMENT)
        try:
            channel = Channel(_rendezvous.connect(path, timeout=5.0))
            channel.send({"op": "leave"})
            channel.receive()
            channel.close()
        except (OSError, WireError, _rendezvous.WrongPeer):
            _rendezvous.remove(path)  # It is gone already.

    def _conclude(self) -> None:
        atexit.unregister(self._at_exit)
        try:
            self._waiting = True
            self._show_report()
        except StopWaiting:
            gone = self._guardian is None or _has_hung_up(self._guardian)
            self._say(f"not waiting any longer; {'the guardian is gone: what this run has started may be alive' if gone else 'the guardian goes on alone'}.")
        finally:
            self._waiting = False
        self._leave_workers()

    def _show_report(self) -> None:
        if len(self._received) > 2:
            raise StopWaiting
        if self._guardian is not None:
            self._is_another(_has_hung_up(self._guardian))
        try:
            report = self._await_report()
        except (OSError, WireError, _rendezvous.WrongPeer) as error:
            if self._received:
                display.warning(f"treekill.remote: no report from the guardian ({error}). What this run has started may be alive: look on its hosts.")
            if not isinstance(error, GuardianSilent):
                # Nobody listens there any more, so nobody else takes it away.
                _rendezvous.remove(os.environ[_rendezvous.ENVIRONMENT])
                wake_descendants(self._main)
            return
        for warning in report["warnings"]:
            display.warning(warning)
        if self.in_flight is not None:
            report["unguarded"] += self.in_flight.unguarded()
        Recap(report, bool(self._received), screen_of(display)).show(display)

    def _leave_workers(self) -> None:
        """Core waits at exit for workers. What is left of them after an interruption stands still until its host was tried: it is not waited for.

        The guardian ends their clients when their time has come.
        """
        if self._received:
            for worker in multiprocessing.active_children():
                worker.kill()

    def _await_report(self) -> Message:
        """The guardian's report: whole, or as far as it is there when the wait is over.

        Raises:
            OSError, WireError, WrongPeer: there is none to be had.
        """
        path = os.environ[_rendezvous.ENVIRONMENT]
        channel = Channel(_rendezvous.connect(path, timeout=5.0))
        channel.send({"op": "report", "wait": self.options.wait})
        silence = Silence(channel, path, self._say)
        message = t.cast(Message, silence.end())
        if "report" not in message:
            self._say(
                f"{message['in_hand']} kill orders are out, with a grace of {message['grace']:g} s."
                " Ctrl-C again: KILL at once. A third time: do not wait for the report."
            )
            message = self._await_orders(channel, silence, message)
        return t.cast(Message, message["report"])

    def _await_orders(self, channel: Channel, silence: Silence, message: Message) -> Message:
        """The message with the report, asked for as it is when the wait is over. It is not while one host after the other gets done."""
        # What is run after the kill waits for the last courier.
        deadline = time.monotonic() + message["grace"] + _A_LITTLE + (PATIENCE if self._after is not None else 0.0)
        progress, in_hand = Progress(), message["in_hand"]
        try:
            while "report" not in message:
                if message["after_kill"] is None:
                    progress.take(message)
                    if message["in_hand"] < in_hand:
                        in_hand, deadline = message["in_hand"], max(deadline, time.monotonic() + _A_LITTLE)
                else:
                    progress.clear()
                    deadline = self._announce_after(message["after_kill"])
                message = self._next(channel, silence, progress, deadline)
        finally:
            progress.clear()
        return message

    def _announce_after(self, after: Message) -> float:
        """The moment when it is over at the latest. From here on a Ctrl-C is passed on to it, and the next one ends the wait."""
        self._enough = max(self._enough, len(self._received) + 1)
        self._say(
            f"after_kill: {', '.join(after['files'])} runs on {len(after['hosts'])} hosts, for {after['timeout']:g} s at most."
            " Ctrl-C: interrupt it. Again: do not wait."
        )
        return time.monotonic() + t.cast(float, after["seconds"])

    @staticmethod
    def _next(channel: Channel, silence: Silence, progress: Progress, deadline: float) -> Message:
        message = silence.end(progress.tick, deadline)
        if message is None:
            channel.send({"op": "report", "wait": False})
            message = t.cast(Message, silence.end(progress.tick))
            while "report" not in message:
                message = t.cast(Message, silence.end(progress.tick))
        return message

    @staticmethod
    def _say(text: str) -> None:
        # To stderr: what a stdout callback writes (json, yaml) stays as it is.
        say(display, [(f"treekill: {text}", None)])

    def _die_as_signalled(self) -> None:
        """TERM and HUP end a process by themselves, and its parent sees which: 143 and 129 to a shell. INT is core's to report, as exit status 99."""
        number = self._received[0] if self._received else 0
        if number in (signal.SIGTERM, signal.SIGHUP):
            # What else is to be done at exit (temporary files) is done first, since nothing is done after.
            atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    # Whoever read it may be gone: that must not change by what this process dies.
                    stream.flush()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def _unwinding(number: int) -> BaseException:
    """What a signal raises in the main thread."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _has_hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR) for dummy, event in poll.poll(0))
