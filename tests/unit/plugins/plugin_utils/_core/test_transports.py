# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages of connection plugins about a command that was never started, and their names."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader
from ansible.release import __version__
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    address_of,
    client_had_no_session,
    had_no_session,
    has_engine,
    shows_its_end,
)


@pytest.mark.parametrize(
    "error",
    [
        AnsibleConnectionFailure(
            "Failed to connect to the host via ssh: ssh: connect to host web1 port 22: Connection "
            "refused"
        ),
        AnsibleConnectionFailure(
            "Failed to connect to the host via ssh: u@web1: Permission denied (publickey,password)."
        ),
        AnsibleError("Incorrect sudo password"),
        # A kill order for it would wait at the prompt as well, while the play goes on.
        AnsibleConnectionFailure("Timeout (12s) waiting for privilege escalation prompt: "),
        AnsibleError(
            "Timeout (12s) waiting for privilege escalation prompt: [sudo via ansible, key=x]"
        ),
        AnsibleError("ssh timed out waiting for privilege escalation.\n"),
        AnsibleError("A password is required but none was supplied"),
    ],
)
def test_a_command_that_was_never_started_needs_no_kill_order(error):
    assert had_no_session(error)


@pytest.mark.parametrize(
    "error",
    [
        AnsibleConnectionFailure("Failed to connect to the host via ssh: "),
        AnsibleConnectionFailure("Connection reset by peer"),
    ],
)
def test_one_that_may_have_been_started_does(error):
    assert not had_no_session(error)


@pytest.mark.parametrize(
    "said",
    [
        "git@x: Permission denied (publickey).\nclient_loop: send disconnect: Broken pipe",
        (
            "ssh: connect to host mirror port 22: Connection refused\n"
            "Connection to web1 closed by remote host."
        ),
        (
            "ssh: Could not resolve hostname mirror: Name or service not known\n"
            "Timeout, server web1 not responding."
        ),
        "Incorrect sudo password\nShared connection to web1 closed.",
    ],
)
def test_the_words_of_a_command_are_not_taken_for_those_of_its_client(said):
    assert not had_no_session(f"Failed to connect to the host via ssh: {said}\n")
    assert not client_had_no_session(said)


def test_the_words_of_a_client_may_have_others_behind_them():
    said = (
        "kex_exchange_identification: read: Connection reset by peer\n"
        "Connection reset by 10.0.0.1 port 22\n"
    )
    assert had_no_session(
        f"Failed to connect to the host via ssh: Warning: Permanently added 'web1'.\n{said}"
    )


@pytest.mark.parametrize(
    "escalation",
    [
        pytest.param("exec 1>&- 2>&-", id="ends"),
        pytest.param("echo Password:; exec timeout 3 cat", id="prompts in other words"),
        pytest.param(
            'shift; echo "$1"; read -r word; echo "$1"; exec timeout 3 cat',
            id="prompts again",
            marks=pytest.mark.skipif(
                __version__.startswith(("2.16.", "2.17.", "2.18.")),
                reason="this core looks for one prompt",
            ),
        ),
    ],
)
def test_what_the_local_plugin_of_this_core_says_of_a_failed_escalation_is_known(
    escalation, tmp_path
):
    with pytest.raises(AnsibleError) as raised:
        through_local(tmp_path, escalation)
    assert had_no_session(raised.value), raised.value


def through_local(folder: Path, escalation: str) -> None:
    """Run `true` as another user by core's own plugin, with this shell text instead of sudo."""
    sudo = folder / "sudo"
    sudo.write_text(f"#!/bin/sh\n{escalation}\n")
    sudo.chmod(0o755)
    context = PlayContext()
    context.timeout = 1
    connection, become = connection_loader.get("local", context), become_loader.get("sudo")
    options = (
        {"become_success_timeout": 1}
        if "become_success_timeout" in connection.option_definitions
        else {}
    )
    connection.set_options(direct=options)
    become.set_options(
        direct={"become_exe": shlex.quote(str(sudo)), "become_pass": "secret", "become_flags": ""}
    )
    connection.set_become_plugin(become)
    connection.exec_command(become.build_become_command("true", connection._shell))


@pytest.mark.parametrize(
    ("transport", "engine"),
    [
        ("community.docker.docker", True),
        ("community.docker.docker_api", True),
        ("containers.podman.podman", True),
        ("community.general.lxd", True),
        ("incus", True),
        ("kubectl", True),
        ("oc", True),
        ("ssh", False),
        ("paramiko", False),
        ("local", False),
        ("community.general.chroot", False),
        ("community.general.lxc", False),
    ],
)
def test_the_engine_of_a_container_is_known_by_the_transport(transport, engine):
    connection = connection_loader.get("local", PlayContext(), new_stdin=None)
    connection.transport = transport
    assert has_engine(connection) == engine


@pytest.mark.parametrize(
    ("plugin", "transport", "shown"),
    [
        ("ssh", "ssh", True),
        ("local", "local", True),
        ("ssh", "a plugin made of that of ssh", True),
        ("psrp", "ansible.netcommon.libssh", True),
        ("psrp", "community.general.lxc", True),
        ("psrp", "kubectl", True),
        ("psrp", "community.general.saltstack", False),
        ("psrp", "containers.podman.buildah", False),
    ],
)
def test_it_is_known_of_which_connections_the_host_sees_the_end(plugin, transport, shown):
    connection = connection_loader.get(plugin, PlayContext(), new_stdin=None)
    connection.transport = transport
    assert shows_its_end(connection) == shown


@pytest.mark.parametrize(
    ("plugin", "variables", "address"),
    [
        ("ssh", {}, "web1"),
        ("ssh", {"ansible_host": "10.0.0.1"}, "10.0.0.1"),
        ("ssh", {"ansible_host": "10.0.0.1", "ansible_port": 2222}, "10.0.0.1:2222"),
        ("ssh", {"ansible_host": "fe80::1", "ansible_port": 22}, "fe80::1"),
        ("ssh", {"ansible_host": "fe80::1", "ansible_port": 2222}, "[fe80::1]:2222"),
        ("local", {"ansible_host": "10.0.0.1"}, f"local:{socket.gethostname()}"),
    ],
)
def test_the_address_is_what_the_plugin_connects_to(plugin, variables, address):
    connection = connection_loader.get(plugin, PlayContext())
    connection.set_options(var_options={"inventory_hostname": "web1", **variables})
    assert address_of(connection) == address


@pytest.mark.parametrize(
    ("transport", "options", "address"),
    [
        ("paramiko", {"remote_addr": "10.0.0.1", "port": 22}, "10.0.0.1"),
        ("community.docker.docker", {"remote_addr": "web1"}, "community.docker.docker:web1"),
        ("community.general.jail", {}, "community.general.jail:in the play"),
    ],
    ids=["the other option of ssh", "a container of that name", "a plugin without options"],
)
def test_plugins_have_their_host_in_other_options(transport, options, address):
    plugin = connection_loader.get("local", PlayContext())
    # Plugins of other collections are not installed here.
    plugin.transport, plugin._options = transport, options
    plugin._play_context.remote_addr = "in the play"
    assert address_of(plugin) == address
