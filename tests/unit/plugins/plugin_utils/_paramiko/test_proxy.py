# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy command is found wherever inventories have it, and filled in word by word."""

from __future__ import annotations

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.proxy import (
    filled_in,
    proxy_command,
)


@pytest.mark.parametrize(
    "arguments",
    [
        "-o ProxyCommand='ssh -W %h:%p jump'",
        "-C -oProxyCommand='ssh -W %h:%p jump' -o User=x",
        '-o "proxycommand ssh -W %h:%p jump"',
        "-o 'ProxyCommand = ssh -W %h:%p jump' -o ProxyCommand=other",
    ],
)
def test_the_first_one_is_taken(arguments: str) -> None:
    assert proxy_command("", "", arguments, "-o ProxyCommand=later") == "ssh -W %h:%p jump"


@pytest.mark.parametrize(
    "arguments", ["", "-o ControlMaster=auto -C", "-F file", "-o ProxyCommand=none", "-o"]
)
def test_there_may_be_none(arguments: str) -> None:
    assert not proxy_command("", arguments)


def test_the_plugins_own_option_goes_before() -> None:
    assert proxy_command("nc %h %p", "-o ProxyCommand=other") == "nc %h %p"


def test_what_is_filled_in_stays_one_word() -> None:
    assert filled_in("nc -X '%r of %h' 100%% %p", "a host", 22, "me") == [
        "nc",
        "-X",
        "me of a host",
        "100%",
        "22",
    ]
