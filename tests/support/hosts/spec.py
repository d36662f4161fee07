# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is made of, as it is kept in its lab.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from . import state
from .errors import NoSuchLab
from .network import Network
from .processes import ProcessId


@dataclass(frozen=True)
class Spec:
    """One lab."""

    name: str
    id: str  #: never used twice, unlike the name
    kind: str  #: namespace or plain
    count: int
    base: str  #: root directory under the hosts
    network: int  #: index of the Network; 0 for plain hosts, which have none
    python: bool = True  #: whether the hosts have a Python
    systemd: bool = False  #: whether their pid 1 is systemd
    binds: Mapping[str, str] = field(
        default_factory=dict
    )  #: directory of the machine: where the hosts see it
    owner: ProcessId | None = (
        None  #: the lab goes when this process does; None: it stays until `down`
    )

    @property
    def directory(self) -> Path:
        """Where the lab keeps all that it has."""
        return state.lab_directory(self.name)

    @property
    def net(self) -> Network:
        """Its network."""
        return Network(self.network)

    def host_name(self, number: int) -> str:
        """Name of host `number`, from 1."""
        return f"web{number}"

    def with_network(self, index: int) -> Spec:
        """The same in another network."""
        return replace(self, network=index)

    def write(self, directory: Path) -> None:
        """Keep it in this directory."""
        state.write_json(directory / "lab.json", asdict(self))

    @classmethod
    def read(cls, name: str) -> Spec:
        """The lab of that name. Raises NoSuchLab."""
        content = state.read_json(state.lab_directory(name) / "lab.json")
        if content is None:
            raise NoSuchLab(
                f"no lab {name!r} is up; `python -m tests.support.hosts list` shows those that are"
            )
        owner = content.pop("owner")
        # A lab of another checkout may tell more of itself; all labs of a machine share their
        # networks, so none can be passed over.
        known = {one.name for one in fields(cls)}
        return cls(
            **{key: value for key, value in content.items() if key in known},
            owner=ProcessId(**owner) if owner else None,
        )
