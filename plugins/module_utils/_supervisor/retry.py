# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ends what an earlier run of the same command has left.

A connection plugin lost its connection, and has sent the command again.
"""

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
    new_kill_pass,
)
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.main import carry_out
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.supervisor_client import (
    PATIENCE_SECONDS,
    connect_supervisor,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    read_request,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_socket import (
    listen_at,
    listen_for,
    socket_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import SKIP_GRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.supervisor_options import (  # noqa: E501
        SupervisorOptions,
    )

#: Words of a supervisor that are not part of a request. It removes them itself, but only later.
NOT_OF_THE_REQUEST = ("task", "async", "watch", "again", "session", "window", "report", "pulse")


def claim(options: "SupervisorOptions", program: "Callable[[], str]") -> "Any":
    """Return the socket of the lease, from the start of the run.

    If the socket is taken, an earlier run of the same command is found and ended.
    """
    run, lease = options["run"], options["lease"]
    try:
        return listen_at(socket_name(run, lease))
    except OSError:
        on_signal = host_signals.getsignal(SKIP_GRACE)
        try:
            end_earlier_run(options, program)
        except OSError:
            # this host does not show its processes: the command runs as it would without a
            # supervisor
            pass
        host_signals.signal(SKIP_GRACE, on_signal)
    return listen_for(run, lease)


def end_earlier_run(options: "SupervisorOptions", program: "Callable[[], str]") -> None:
    """Return when nothing of the earlier run is alive, or what is left can't be ended.

    The processes above this one are not touched.
    """
    request = read_request(
        "%s=%s" % item for item in options.items() if item[0] not in NOT_OF_THE_REQUEST
    )
    request.arrival_timeout = 0.0
    kill_pass = new_kill_pass(request)
    earlier = connect_supervisor(request, kill_pass.control.table)
    if earlier is not None and earlier.at_work:
        earlier.await_report(request.timeout + PATIENCE_SECONDS, lambda: False, kill_pass)
    carry_out(kill_pass, program)
