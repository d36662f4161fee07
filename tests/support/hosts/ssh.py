# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh side of a lab.

It writes the key, known_hosts, ssh_config and inventory, and waits for an ssh port.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from pathlib import Path

from .errors import HostsError
from .programs import call

_CONFIG_COMMON = """\
Host *
    User {user}
    IdentityFile {lab}/key
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {lab}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    HostKeyAlgorithms ssh-ed25519
    KexAlgorithms curve25519-sha256
"""

_INVENTORY_COMMON = """
[hosts:vars]
ansible_user={user}
ansible_ssh_private_key_file={lab}/key
ansible_ssh_common_args=-F {lab}/ssh_config
ansible_python_interpreter={python}
"""

#: Seconds between two tries of a port that refuses.
_PAUSE = 0.005


def create_key(path: Path) -> str:
    """Create the ed25519 key pair `path` and `path`.pub, and return the public line."""
    call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test hosts", "-f", str(path)])
    return path.with_name(path.name + ".pub").read_text()


def write_client_files(
    lab: Path, hosts: Iterable[tuple[str, str, int]], *, user: str, python: str, host_key: str
) -> None:
    """Write known_hosts, ssh_config and inventory into the lab for each (name, address, port)."""
    known, config, inventory = [], [], ["[hosts]"]
    for name, address, port in hosts:
        places = [address, name] if port == 22 else [f"[{address}]:{port}", f"[{name}]:{port}"]
        known.append(f"{','.join(places)} {' '.join(host_key.split()[:2])}")
        config.append(f"Host {name}\n    HostName {address}\n    Port {port}\n")
        inventory.append(
            f"{name} ansible_host={address}" + (f" ansible_port={port}" if port != 22 else "")
        )
    (lab / "known_hosts").write_text("\n".join(known) + "\n")
    (lab / "ssh_config").write_text("".join(config) + _CONFIG_COMMON.format(lab=lab, user=user))
    (lab / "inventory").write_text(
        "\n".join(inventory) + "\n" + _INVENTORY_COMMON.format(lab=lab, user=user, python=python)
    )


def wait_for_banner(address: str, port: int, deadline: float) -> None:
    """Return when the port answers with an ssh banner.

    Raises HostsError at `deadline`, in seconds of time.monotonic().
    """
    problem = "nothing tried"
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(
                (address, port), timeout=max(0.001, min(1.0, deadline - time.monotonic()))
            ) as connection:
                banner = connection.recv(4)
                if banner == b"SSH-":
                    return
                problem = f"it sent {banner!r}"
        except OSError as error:
            problem = str(error)
        time.sleep(_PAUSE)
    raise HostsError(f"no ssh on {address} port {port} in time: {problem}")
