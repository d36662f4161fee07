# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a lab, as it is kept in its lab.json."""

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
    """Description of one lab."""

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
        None  # the lab is removed when this process ends; None: it stays until `down`
    )

    @property
    def directory(self) -> Path:
        """The directory of all that the lab keeps."""
        return state.lab_directory(self.name)

    @property
    def net(self) -> Network:
        """The network of the lab."""
        return Network(self.network)

    def host_name(self, number: int) -> str:
        """Return the name of host `number`, from 1."""
        return f"web{number}"

    def with_network(self, index: int) -> Spec:
        """Return a copy in another network."""
        return replace(self, network=index)

    def write(self, directory: Path) -> None:
        """Keep it in this directory."""
        state.write_json(directory / "lab.json", asdict(self))

    @classmethod
    def read(cls, name: str) -> Spec:
        """Return the lab of that name. Raises NoSuchLab."""
        content = state.read_json(state.lab_directory(name) / "lab.json")
        if content is None:
            raise NoSuchLab(
                f"no lab {name!r} is up; `python -m tests.support.hosts list` shows those that are"
            )
        owner = content.pop("owner")
        # A lab of another checkout may have more fields. All labs of a machine share their
        # networks, so none can be left out.
        known = {one.name for one in fields(cls)}
        return cls(
            **{key: value for key, value in content.items() if key in known},
            owner=ProcessId(**owner) if owner else None,
        )
