# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page of memory that all processes of a run share.

It holds what a worker must know when the guardian does not answer.

The memory is anonymous, and forks inherit it. A file would not do, because a disk may not respond.
A message would not do, because the guardian may not read. Without a callback in the main process, a
worker makes the page. It shares it with the guardian that it starts, and with no other worker.
"""

from __future__ import annotations

import enum
import mmap
import struct
import zlib

_GATE = 0
_WARNED = 1
_ENDED = 2
_ALWAYS = 3
_MAY_RUN_ALWAYS = 4
_NEWS = 5
_SWEEPS = 6
_PULSES = 7
_ASK_AGAIN = struct.Struct("=d")
#: Positions on the page. The last one is aligned, so that the processor writes it at once.
_ASK_AGAIN_AT = 8

#: Bytes of notes, one for each lease by its id. Two leases rarely share a position, and then there
#: is only one note too many.
_NOTES_BYTES = 1 << 20


class Gate(enum.IntEnum):
    """The commands that may start on a host."""

    OPEN = 0
    #: The run was interrupted, and nothing new may start.
    CLOSED = 1
    #: The run was interrupted, and only tasks of `always` sections may start.
    ALWAYS = 2


class RunPage:
    """The page of one run. Times are on the monotonic clock, which a whole machine shares."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._begun = mmap.mmap(-1, _NOTES_BYTES)
        #: Whether this process is the worker of a task of an `always` section that runs after an
        #: interruption. It is not on the page: a worker has it from the fork.
        self.for_always = False

    @property
    def gate(self) -> Gate:
        """The commands that may start on a host."""
        return Gate(self._memory[_GATE])

    @property
    def gate_closed(self) -> bool:
        """Whether this process may start nothing new on any host: the run was interrupted."""
        return self.gate is Gate.CLOSED or (self.gate is Gate.ALWAYS and not self.for_always)

    def close_gate(self) -> None:
        """Stop all workers from starting anything new."""
        self._memory[_GATE] = Gate.CLOSED

    def open_gate_for_always(self) -> None:
        """Let the workers of `always` sections start something."""
        self._memory[_GATE] = Gate.ALWAYS

    @property
    def may_run_always(self) -> bool:
        """Whether the main process may decide to run `always` sections at an interruption."""
        return self._memory[_MAY_RUN_ALWAYS] != 0

    def allow_always(self) -> None:
        """Note that it may. The main process does so at the start of the run."""
        self._memory[_MAY_RUN_ALWAYS] = 1

    @property
    def runs_always(self) -> bool:
        """Whether the main process goes on to the `always` sections after the interruption."""
        return self._memory[_ALWAYS] != 0

    @property
    def always_after(self) -> int:
        """The signal after which it does so; 0 if it does not."""
        return self._memory[_ALWAYS]

    def run_always(self, number: int) -> None:
        """Note that, right before the main process tells the guardian of the signal.

        `number`: of the signal; 0 if the main process does not go on after all.
        """
        self._memory[_ALWAYS] = number

    @property
    def run_ended(self) -> bool:
        """Whether the run ended by itself.

        The guardian needs this if the main process has lost its connection, and sends no message.
        """
        return self._memory[_ENDED] != 0

    def end_run(self) -> None:
        """Note the end of the run. The main process does so if nothing has interrupted the run."""
        self._memory[_ENDED] = 1

    @property
    def has_news(self) -> bool:
        """Whether the guardian has something that the user has to read now."""
        return self._memory[_NEWS] != 0

    def note_news(self) -> None:
        """Note that it has."""
        self._memory[_NEWS] = 1

    def clear_news(self) -> None:
        """Note that a process has got it, and prints it."""
        self._memory[_NEWS] = 0

    @property
    def had_pulse(self) -> bool:
        """Whether a guardian of this run has kept a pulse.

        The process that keeps it outlives its guardian, and does not talk to the next one.
        """
        return self._memory[_PULSES] != 0

    def note_pulse(self) -> None:
        """Note that the guardian keeps one."""
        self._memory[_PULSES] = 1

    @property
    def sweeps(self) -> bool:
        """Whether the run sweeps, and so needs no reminder of a sweep."""
        return self._memory[_SWEEPS] != 0

    def note_sweep(self) -> None:
        """Note that it does. A worker does so before it looks for what earlier runs have left."""
        self._memory[_SWEEPS] = 1

    @property
    def warned(self) -> bool:
        """Whether the user was warned that protection is lost.

        All workers warn once, and again only after the guardian has read.
        """
        return self._memory[_WARNED] != 0

    def note_warning(self) -> None:
        """Note that a worker has warned of a lost guardian."""
        self._memory[_WARNED] = 1

    def guardian_reads(self) -> None:
        """Note that the guardian reads. The guardian does so with each message that it reads."""
        if self.ask_again_at or self.warned:
            self.ask_again_at = 0.0
            self._memory[_WARNED] = 0

    @property
    def ask_again_at(self) -> float:
        """The time before which no process waits for a guardian that was late. 0 if it was not."""
        return float(_ASK_AGAIN.unpack_from(self._memory, _ASK_AGAIN_AT)[0])

    @ask_again_at.setter
    def ask_again_at(self, moment: float) -> None:
        _ASK_AGAIN.pack_into(self._memory, _ASK_AGAIN_AT, moment)

    def note_beginning(self, lease: str) -> None:
        """Note that something may begin on the host under this lease. Called just before that."""
        self._begun[_place_of(lease)] = 1

    def may_have_begun(self, lease: str) -> bool:
        """Whether that was noted of the lease, or of a lease that shares its position."""
        return self._begun[_place_of(lease)] != 0


def _place_of(lease: str) -> int:
    return zlib.crc32(lease.encode()) % _NOTES_BYTES
