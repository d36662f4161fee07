# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options of a supervisor, for type checkers alone: no host gets this file.

An object with attributes would be sent with each module, and compiled for each. That takes 350
bytes more.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    #: The words of a supervisor's command line: those of its kill request, and those of its own. It
    #: removes the latter as it uses them.
    SupervisorOptions = TypedDict(
        "SupervisorOptions",
        {
            "run": str,
            "lease": str,
            # These three are missing if they have the default of the request. See KillRequest.
            "signal": str,
            "timeout": str,
            "finish_timeout": str,
            # The encoded name of the task; missing if it must not be shown.
            "task": str,
            # `0` if a broken channel does not end the tree.
            "watch": str,
            # `1` if an earlier run of the same command may be alive.
            "again": str,
            # `1` if the command starts an asynchronous job.
            "async": str,
            # `1` if the end of the ssh session counts as one of the channel.
            "session": str,
            # `1` if a kill order may come as the size of the terminal.
            "window": str,
            # Seconds for which the report is kept; missing if they are 90.
            "report": str,
            # `1` if the run has a pulse on this host, which ends with the run.
            "pulse": str,
        },
        total=False,
    )
