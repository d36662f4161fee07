# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kill order: its connection is taken apart, sent as JSON, and made again elsewhere.

It is then equal. What it sends to the host holds no secret.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader, shell_loader
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import export_command
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import resolve
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import to_json
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import KillOrderTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
    ConnectionSpec,
    KillOrder,
    ReconnectError,
    carries_order,
)

RUN, LEASE = "00000000000000ab", "0000cdef"
SECRETS = {
    "ansible_password": "pw-login-3141",
    "ansible_become_password": "pw-become-2718",
    "ansible_ssh_private_key_passphrase": "pw-key-1618",
}
VARIABLES = {
    "ansible_host": "192.0.2.1",
    "ansible_port": 2222,
    "ansible_user": "me",
    "ansible_become_user": "other",
    "ansible_remote_tmp": "/var/tmp/x",
    "ansible_ssh_common_args": "-o ConnectionAttempts=1 -o 'IPQoS=none none'",
    **SECRETS,
}


def a_connection(name: str = "ssh", become: str | None = None):
    """Return a connection object as an action has it: all options set, nothing sent."""
    context = PlayContext()
    context.executable, context.remote_addr = "/bin/sh", "192.0.2.1"
    connection = connection_loader.get(
        name, context, new_stdin=None, task_uuid="", ansible_playbook_pid="1"
    )
    connection.set_options(var_options=VARIABLES)
    connection._shell = shell_loader.get("sh")
    connection._shell.set_options(var_options=VARIABLES)
    connection._shell.executable = "/bin/sh"
    if become:
        plugin = become_loader.get(become)
        plugin.set_options(var_options=VARIABLES)
        connection.set_become_plugin(plugin)
    return connection


def sent(spec: ConnectionSpec) -> ConnectionSpec:
    return ConnectionSpec(**json.loads(to_json(dataclasses.asdict(spec))))


def an_order(spec: ConnectionSpec, *, becomes: bool = False, **options: object) -> KillOrder:
    terms = KillOrderTerms(
        run=RUN,
        lease=LEASE,
        options=resolve(None, options),
        interpreters=("/usr/bin/python3", "python3"),
        becomes=becomes,
        pipelined=False,
        show_arguments=True,
    )
    return KillOrder(terms, spec)


@pytest.mark.parametrize("become", [None, "sudo", "su"])
@pytest.mark.parametrize("name", ["ssh", "local"])
def test_a_connection_made_anew_has_the_same_options(name, become):
    connection = a_connection(name, become)
    anew = sent(ConnectionSpec.from_connection(connection)).connect(no_log=False)
    assert anew._load_name == connection._load_name
    assert {key: str(value) for key, value in anew.get_options().items()} == {
        key: str(value) for key, value in connection.get_options().items()
    }
    assert anew._shell.get_options() == connection._shell.get_options()
    assert (anew.become is None) == (become is None)
    if become:
        assert anew.become.get_options() == connection.become.get_options()
        assert anew.become._load_name == become


def test_a_connection_that_guards_itself_is_made_anew_without():
    connection = a_connection()
    connection.kill_order_plugin = "local"
    assert (
        sent(ConnectionSpec.from_connection(connection)).connect(no_log=False).transport == "local"
    )


def test_a_connection_made_anew_knows_that_it_carries_an_order():
    connection = a_connection()
    assert carries_order(sent(ConnectionSpec.from_connection(connection)).connect(no_log=False))
    assert not carries_order(connection)


def test_plugins_of_collections_are_named_as_their_loader_finds_them():
    """Core gives them the name of their Python module. It does not find them by that name."""
    connection = a_connection("ssh", "sudo")
    connection._load_name = "ansible_collections.some.where.plugins.connection.below.there"
    connection._shell._load_name = "ansible_collections.some.where.plugins.shell.posix"
    connection.become._load_name = "ansible_collections.community.general.plugins.become.doas"
    spec = ConnectionSpec.from_connection(connection)
    assert (spec.connection, spec.shell, spec.become) == (
        "some.where.below.there",
        "some.where.posix",
        "community.general.doas",
    )


def test_a_plugin_that_is_gone_is_named():
    spec = dataclasses.replace(
        sent(ConnectionSpec.from_connection(a_connection())), connection="no.such.plugin"
    )
    with pytest.raises(ReconnectError, match=r"no\.such\.plugin"):
        spec.connect(no_log=False)


@pytest.mark.parametrize("become", [None, "sudo", "su"])
def test_what_goes_to_the_host_holds_no_secret(become):
    order = an_order(
        sent(ConnectionSpec.from_connection(a_connection("ssh", become))), becomes=bool(become)
    )
    command = order._command(
        order.connection.connect(no_log=False), order._pass("0" * 16, at_once=False)
    )
    assert RUN in command
    assert not [name for name, secret in SECRETS.items() if secret in command]
    # The control: they are in the order.
    assert all(
        secret in to_json(dataclasses.asdict(order))
        for secret in list(SECRETS.values())[: 2 if become else 1]
    )


def test_an_order_is_the_same_when_it_has_been_sent():
    order = an_order(sent(ConnectionSpec.from_connection(a_connection("ssh", "sudo"))))
    message = json.loads(to_json(dataclasses.asdict(order)))
    assert KillOrder.from_message(message["terms"], message["connection"]) == order


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[str]]:
    """A root of the lease and a child of it that is ready, each in a session of its own."""
    script = f"{export_command(RUN, LEASE)}; sh -c 'echo ready; exec sleep 7200'; :"
    with subprocess.Popen(
        ["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_carried_out_it_ends_the_tree_and_brings_the_report(tree):
    report = an_order(sent(ConnectionSpec.from_connection(a_connection("local")))).carry_out()
    assert tree.wait(10) == -15
    assert report.root[0] == tree.pid
    assert len(report.gone) == 2
    assert report.survivors == ()


def test_a_host_that_is_not_there_is_a_connection_failure():
    """Such a failure leads to another try, as opposed to all other errors.

    No process listens at port 1 of this machine.
    """
    spec = sent(ConnectionSpec.from_connection(a_connection()))
    nowhere = {"host": "127.0.0.1", "port": 1, "password": None, "reconnection_retries": 0}
    with pytest.raises(AnsibleConnectionFailure, match="Connection refused"):
        an_order(
            dataclasses.replace(spec, connection_options={**spec.connection_options, **nowhere})
        ).carry_out()
