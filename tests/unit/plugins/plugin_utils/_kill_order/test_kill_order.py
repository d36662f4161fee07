# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kill order is equal when it has been sent, and what it sends to the host holds no secret."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import export_command
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import resolve
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import to_json
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import KillOrderTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    ConnectionSpec,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
    KillOrder,
    PassMode,
)

from tests.unit.plugins.plugin_utils._kill_order.connections import (
    SECRETS,
    a_connection,
    sent,
)

RUN, LEASE = "00000000000000ab", "0000cdef"


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
def test_what_goes_to_the_host_holds_no_secret(become):
    order = an_order(
        sent(ConnectionSpec.from_connection(a_connection("ssh", become))), becomes=bool(become)
    )
    command = order._command(
        order.connection.connect(no_log=False), order._pass("0" * 16, PassMode.END)
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
