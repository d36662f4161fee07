# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ansible-core versions that the collection supports, and the demands of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence, Tuple

from ._commands import SetupError

Version = Tuple[int, int]


@dataclass(frozen=True)
class Core:
    """One minor version of ansible-core.

    Source: the support matrix in ansible-core's documentation.
    """

    version: str
    #: Oldest and newest Python that runs it on the controller.
    python: tuple[Version, Version]
    #: Oldest Python 3 on a host.
    oldest_target: Version
    #: Whether molecule runs with it.
    molecule: bool = True
    #: Whether it had a release when this was written. Until there is one, a candidate is installed.
    released: bool = True

    @property
    def requirement(self) -> str:
        """Requirement for pip: the newest release of this minor version."""
        return f"ansible-core ~= {self.version}.0"

    @property
    def candidate(self) -> str:
        """Requirement for pip if there is no release yet; empty if there is one."""
        return "" if self.released else f"ansible-core ~= {self.version}.0b1"

    def pythons(self) -> Sequence[Version]:
        """Return the Pythons that the controller side supports, the oldest first."""
        (major, oldest), (dummy, newest) = self.python
        return [(major, minor) for minor in range(oldest, newest + 1)]

    def runs_on(self, python: Version) -> bool:
        """Whether this Python is one that the controller side supports."""
        return self.python[0] <= python <= self.python[1]

    def __str__(self) -> str:
        return f"ansible-core {self.version}"


CORES: Mapping[str, Core] = {
    core.version: core
    for core in (
        Core("2.16", ((3, 10), (3, 12)), (3, 6)),
        Core("2.17", ((3, 10), (3, 12)), (3, 7), molecule=False),
        Core("2.18", ((3, 11), (3, 13)), (3, 8)),
        Core("2.19", ((3, 11), (3, 13)), (3, 8)),
        Core("2.20", ((3, 12), (3, 14)), (3, 9)),
        Core("2.21", ((3, 12), (3, 14)), (3, 9)),
        Core("2.22", ((3, 13), (3, 15)), (3, 9), released=False),
    )
}


def core_named(version: str) -> Core:
    """Return the core of that minor version, or raise an error that names all of them."""
    try:
        return CORES[version]
    except KeyError:
        raise SetupError(
            f"ansible-core {version} is not supported: choose one of {', '.join(CORES)}"
        ) from None


def dotted(version: Version) -> str:
    """Return (3, 12) as 3.12."""
    return f"{version[0]}.{version[1]}"
