# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A paramiko connection from the options of a connection plugin."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleError, AnsiblePromptNoninteractive
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    carries_order,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko import library
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.host_keys import HostKeys
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.proxy import proxy_command
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.ssh_client import (
    NOTHING_STARTED,
    Client,
    Destination,
)

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase

display = Display()


def connected_client(connection: ConnectionBase) -> Client:
    """Return a new connection to the host that the options name.

    Raises:
        AnsibleError: the library is not installed.
        AnsibleConnectionFailure: the host can't be reached, or refuses the login.
    """
    if library.missing is not None:
        raise AnsibleError(
            f"{NOTHING_STARTED}: the connection plugin treekill.remote.paramiko_ssh needs"
            " the Python library paramiko on the controller,"
            f" for the Python that runs Ansible ({library.missing})."
        )
    destination = _destination(connection.get_option)
    display.vvv(
        f"paramiko: connect to port {destination.port} as {destination.user}", host=destination.host
    )
    client = Client(destination, _host_keys(connection))
    client.connect()
    return client


def _destination(option: t.Callable[[str], t.Any]) -> Destination:
    return Destination(
        host=option("remote_addr"),
        port=option("port"),
        user=option("remote_user"),
        password=option("password"),
        private_key_file=option("private_key_file"),
        look_for_keys=option("look_for_keys"),
        rsa_sha2=option("use_rsa_sha2_algorithms"),
        proxy_command=proxy_command(
            option("proxy_command"),
            option("ssh_args"),
            option("ssh_common_args"),
            option("ssh_extra_args"),
        ),
        timeout=option("timeout"),
        banner_timeout=option("banner_timeout"),
    )


def _host_keys(connection: ConnectionBase) -> HostKeys:
    @contextlib.contextmanager
    def alone() -> t.Iterator[None]:
        connection.connection_lock()
        try:
            yield
        finally:
            connection.connection_unlock()

    return HostKeys(
        checking=connection.get_option("host_key_checking"),
        auto_add=connection.get_option("host_key_auto_add"),
        record=connection.get_option("record_host_keys"),
        ask=_refuse if carries_order(connection) else _ask,
        alone=alone,
    )


def _ask(question: str) -> str | None:
    try:
        return str(display.prompt_until(question, private=False).decode("utf-8", "replace"))
    except AnsiblePromptNoninteractive:
        return None


def _refuse(question: str) -> None:
    """Refuse the question: a kill order has no user.

    Its process has no terminal, and no main process that would ask in its place.
    """
