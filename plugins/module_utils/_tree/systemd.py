# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Services of systemd that have the cookie although the task did not start them.

`systemctl import-environment` hands the cookie to all that systemd starts later.

What a task starts stays in its control group, whatever it does to its parents and its environment.
That group is the session of its login, the service of an sshd that opens no session, or a scope.
`systemd-run --scope` moves processes of the task into a scope.

The pass came by the same way. If a process is in a different service from the pass, systemd started
it. Instances of one template count as one service. An sshd that is started for each connection has
the task in one instance and the pass in another.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable


def service_of(groups: bytes) -> bytes:
    """Return the service of a process, from its /proc/PID/cgroup.

    Of an instance it is the name up to the `@`. It is empty in a scope, and without systemd.
    """
    for line in groups.splitlines():
        for part in reversed(line.rpartition(b":")[2].split(b"/")):
            if part.endswith(b".scope"):
                return b""
            if part.endswith(b".service"):
                return part.partition(b"@")[0]
    return b""


def is_of_another_service(table: "ProcessTable", pid: int, own_pid: int) -> bool:
    """Whether a process is in a service of systemd other than that of the process own_pid."""
    service = service_of(table.cgroup(pid))
    return bool(service) and service != service_of(table.cgroup(own_pid))
