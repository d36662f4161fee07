# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hand-off: work that a client in the tree has asked for, and the command to look for it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    ReportedHandOff,
)

#: What may be a part of a command to look. A word that begins with a minus sign might be an option
#: that has a program executed.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:/+-]*")


@dataclasses.dataclass(frozen=True)
class Followed:
    """A container of the default daemon that its client has started, and waits for."""

    name: str
    #: Of the client, as a report has it.
    user: str = ""
    #: Whether the client was ended by SIGKILL: its grace period is over, or was skipped.
    killed: bool = False


@dataclasses.dataclass(frozen=True)
class HandOff:
    """One thing that a client has asked for: see `ReportedHandOff`."""

    kind: str
    program: str
    what: str
    look: Sequence[str]
    #: Whether the client returns, and what it has asked for goes on.
    at_once: bool = False
    followed: Followed | None = None
    #: Options that lead to another server than the usual one, with their values.
    where: Sequence[str] = ()
    #: The container, if it has a name.
    name: str = ""

    @property
    def key(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        """Equal for two clients that have asked for the same."""
        return self.kind, self.named, tuple(self.look), tuple(self.where)

    @property
    def named(self) -> str:
        """Its name, with the way there unless the command to look has that."""
        return " ".join([self.what, *self.where]) if self.where and not self.look else self.what

    def behind(self, variables: Sequence[str]) -> HandOff:
        """Return it as one whose client may have found its daemon by these variables.

        A command to look would perhaps ask another daemon.
        """
        if self.kind != "container" or not variables:
            return self
        return dataclasses.replace(self, look=(), where=(*self.where, *variables))

    def reported(self, *, seen: bool) -> ReportedHandOff:
        """Return it as a report has it before secrets are masked."""
        return ReportedHandOff(
            kind=self.kind,
            program=self.program,
            what=self.named,
            look="\0".join(self.look),
            seen=seen,
            state="left",
        )


def safe_look(words: Sequence[str], *given: str) -> Sequence[str]:
    """Return a command to look; nothing if one of the words that a client has given is no name."""
    return words if all(map(_NAME.fullmatch, given)) else ()
