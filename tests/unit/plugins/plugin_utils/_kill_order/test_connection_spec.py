# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection is taken apart, sent as JSON, and made again elsewhere. It is then equal."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    ConnectionSpec,
    ReconnectError,
    carries_order,
)

from tests.unit.plugins.plugin_utils._kill_order.connections import a_connection, sent


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
