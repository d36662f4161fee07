# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a connection plugin says of a command that was never started."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.treekill.remote.plugins.plugin_utils._transports import had_no_session


@pytest.mark.parametrize(
    "error",
    [
        AnsibleConnectionFailure("Failed to connect to the host via ssh: ssh: connect to host web1 port 22: Connection refused"),
        AnsibleConnectionFailure("Failed to connect to the host via ssh: u@web1: Permission denied (publickey,password)."),
        AnsibleError("Incorrect sudo password"),
        # A kill order for it would wait at the same prompt, while the play goes on.
        AnsibleConnectionFailure("Timeout (12s) waiting for privilege escalation prompt: "),
        AnsibleError("Timeout (12s) waiting for privilege escalation prompt: [sudo via ansible, key=x]"),
    ],
)
def test_a_command_that_was_never_started_needs_no_kill_order(error):
    assert had_no_session(error)


@pytest.mark.parametrize("error", [AnsibleConnectionFailure("Failed to connect to the host via ssh: "), AnsibleConnectionFailure("Connection reset by peer")])
def test_one_that_may_have_been_started_does(error):
    assert not had_no_session(error)
