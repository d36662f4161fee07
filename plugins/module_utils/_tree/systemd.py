# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Services of systemd that have the cookie, and were not started by the task: C(systemctl import-environment) hands it to all that systemd starts later.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.

What a task starts stays in its control group, whatever it does to its parents and environment: in the session of its login, in the service of an sshd that
opens none, or in a scope, into which C(systemd-run --scope) moves what the task itself has started. The pass came by the same way. So who is in a service,
and in another one than the pass, was started by systemd. Instances of one template count as one service: an sshd that is started for each
connection has the task in one instance and the pass in another.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable


def service_of(groups: bytes) -> bytes:
    """The service that a process is in, from its /proc/PID/cgroup; of an instance the name up to its C(@). Empty in a scope, and without systemd."""
    for line in groups.splitlines():
        for part in reversed(line.rpartition(b":")[2].split(b"/")):
            if part.endswith(b".scope"):
                return b""
            if part.endswith(b".service"):
                return part.partition(b"@")[0]
    return b""


def is_of_another_service(table: "ProcessTable", pid: int, own_pid: int) -> bool:
    """Whether a process is in a service of systemd that the process own_pid is not in."""
    service = service_of(table.cgroup(pid))
    return bool(service) and service != service_of(table.cgroup(own_pid))
