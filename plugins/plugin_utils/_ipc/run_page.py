# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page of memory that all processes of a run share: what a worker has to know when the guardian does not answer.

Anonymous memory, inherited by forks: no file, since a disk may stand still, and no message, since the guardian may not read. Where no callback has
made it in the main process, a worker shares it with the guardian that it starts, and with no other worker.
"""

from __future__ import annotations

import mmap
import struct
import zlib

_GATE = 0
_WARNED = 1
_ENDED = 2
_ASK_AGAIN = struct.Struct("=d")
#: Places on the page. The last one is aligned, so that the processor writes it whole.
_ASK_AGAIN_AT = 8

#: Bytes for notes of leases, by their ids. Two leases with the same place are rare, and only cost a
#: note too many.
_MAX_LEASES = 1 << 20


class RunPage:
    """One for each run. Times are on the monotonic clock, which all processes of a machine share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._begun = mmap.mmap(-1, _MAX_LEASES)

    @property
    def gate_closed(self) -> bool:
        """Whether the run was interrupted: nothing new may start on any host."""
        return self._memory[_GATE] != 0

    def close_gate(self) -> None:
        """Have no worker start anything more."""
        self._memory[_GATE] = 1

    @property
    def run_ended(self) -> bool:
        """Whether the run came to its own end. A guardian that the main process has lost sight of is told by nobody."""
        return self._memory[_ENDED] != 0

    def end_run(self) -> None:
        """Said by the main process, when nothing has interrupted the run."""
        self._memory[_ENDED] = 1

    @property
    def warned(self) -> bool:
        """Whether the user was told that protection is lost: once for all workers, until the guardian reads again."""
        return self._memory[_WARNED] != 0

    def note_warning(self) -> None:
        """Note that a worker has warned of a lost guardian."""
        self._memory[_WARNED] = 1

    def guardian_reads(self) -> None:
        """Said by the guardian, with each message that it reads."""
        if self.ask_again_at or self.warned:
            self.ask_again_at = 0.0
            self._memory[_WARNED] = 0

    @property
    def ask_again_at(self) -> float:
        """The guardian was late: it is not waited for before this moment. 0 when it was not."""
        return float(_ASK_AGAIN.unpack_from(self._memory, _ASK_AGAIN_AT)[0])

    @ask_again_at.setter
    def ask_again_at(self, moment: float) -> None:
        _ASK_AGAIN.pack_into(self._memory, _ASK_AGAIN_AT, moment)

    def note_beginning(self, lease: str) -> None:
        """Of what a worker does next under that lease, something may begin on the host. Said before it is done."""
        self._begun[_place_of(lease)] = 1

    def may_have_begun(self, lease: str) -> bool:
        """Whether that was noted of the lease, or of one that shares its place."""
        return self._begun[_place_of(lease)] != 0


def _place_of(lease: str) -> int:
    return zlib.crc32(lease.encode()) % _MAX_LEASES
