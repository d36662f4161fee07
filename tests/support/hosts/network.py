# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a lab: a subnet and a bridge that no other lab has, and a port for each host."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import HostsError
from .programs import call

#: A lab has one /24: .1 is the machine, .2 to .254 are the hosts.
MAX_HOSTS = 253

_POOLS = tuple(
    ipaddress.IPv4Network(text) for text in ("10.213.0.0/16", "100.64.0.0/16", "198.18.0.0/16")
)
_INDEXES = 256 * len(_POOLS)
#: Device group of all that lab 0 makes. By group and index, the devices of a lab can be removed at
#: once.
_FIRST_GROUP = 0x74000000


@dataclass(frozen=True)
class Network:
    """The names and numbers of lab network number `index`; it holds no state."""

    index: int

    @property
    def subnet(self) -> ipaddress.IPv4Network:
        """The /24."""
        pool = _POOLS[self.index // 256]
        return ipaddress.IPv4Network((int(pool.network_address) + 256 * (self.index % 256), 24))

    @property
    def bridge(self) -> str:
        """Interface of the bridge."""
        return f"tkh{self.index}"

    @property
    def group(self) -> str:
        """Device group of the bridge and its ports."""
        return str(_FIRST_GROUP + self.index)

    def address(self, number: int) -> str:
        """Return the address of host `number`, from 1."""
        return str(self.subnet[number + 1])

    def port(self, number: int) -> str:
        """Return the interface on the machine to which host `number` is plugged."""
        return f"{self.bridge}p{number}"

    def mac(self, number: int) -> str:
        """Return the MAC address of host `number`, which never changes.

        With a new one, a host made again can't be reached for 20 seconds.
        """
        return f"02:74:6b:{self.index >> 8:02x}:{self.index & 255:02x}:{number + 1:02x}"

    def create_bridge(self) -> None:
        """Make the bridge, with the machine's address on it."""
        _batch(
            [
                (
                    f"link add {self.bridge} group {self.group} type bridge forward_delay 0 "
                    "stp_state 0 mcast_snooping 0"
                ),
                f"link set {self.bridge} addrgenmode none",
                f"address add {self.subnet[1]}/24 dev {self.bridge}",
                f"link set {self.bridge} up",
            ]
        )

    def plug(self, hosts: Sequence[tuple[int, int]]) -> None:
        """Give each (number, pid in its network namespace) its port."""
        lines = []
        for number, pid in hosts:
            lines += [
                (
                    f"link add {self.port(number)} group {self.group} master {self.bridge} "
                    f"type veth peer name eth0 address {self.mac(number)} netns {pid}"
                ),
                f"link set {self.port(number)} addrgenmode none up",
                # A failed look-up of the address while the host was off must not delay the first
                # connection.
                f"neighbour flush to {self.address(number)} dev {self.bridge}",
            ]
        _batch(lines)

    def unplug(self, number: int) -> None:
        """Remove the port for good: nothing that the host still sends leaves it."""
        if _exists(self.port(number)):
            call(["ip", "link", "delete", self.port(number)])

    def set_link(self, number: int, state: str) -> None:
        """Cut the host off with `down`, or connect it with `up`."""
        _batch(
            [
                f"link set {self.port(number)} {state}",
                f"neighbour flush to {self.address(number)} dev {self.bridge}",
            ]
        )

    def remove(self) -> None:
        """Remove the bridge and every port. It is no error if they are gone."""
        if _exists(self.bridge):
            call(["ip", "link", "delete", "group", self.group])


def pick_index(used: set[int], start: int) -> int:
    """Return a network index from `start` on that is free.

    No lab has it (`used`), and no route or device of this machine overlaps it.
    """
    routes = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in json.loads(
            call(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]"
        )
        if route["dst"] != "default" and route.get("type", "unicast") == "unicast"
    ]
    names = {link["ifname"] for link in json.loads(call(["ip", "-json", "link", "show"]))}
    for offset in range(_INDEXES):
        network = Network((start + offset) % _INDEXES)
        if (
            network.index not in used
            and network.bridge not in names
            and not any(network.subnet.overlaps(route) for route in routes)
        ):
            return network.index
    pools = ", ".join(map(str, _POOLS))
    raise HostsError(
        f"no free /24 for a lab: each in {pools} belongs to another lab or overlaps a route of "
        "this machine"
    )


def _exists(interface: str) -> bool:
    return any(
        link["ifname"] == interface for link in json.loads(call(["ip", "-json", "link", "show"]))
    )


def _batch(lines: Sequence[str]) -> None:
    call(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
