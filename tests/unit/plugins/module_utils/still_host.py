# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host at one moment, written down line by line. Python 3.6."""

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import command_trees
from ansible_collections.treekill.remote.plugins.module_utils._survey.state import judge

RUN, LEASE, OTHER = "0123456789abcdef", "89abcdef", "fedcba9876543210"
SCRIPT = "export TREEKILL=%s/%s/$$/$PPID; work"


def cookie(root, ppid, run=RUN, lease=LEASE, more=""):
    """Return an environment with a cookie."""
    return ("A=1\0TREEKILL=%s/%s/%d/%d\0%s" % (run, lease, root, ppid, more)).encode()


class StillHost:
    """The process table.

    add() adds processes. It starts with init, sshd and ourselves below a session of sshd.
    """

    method = "proc"
    hidepid = False
    OWN = 9

    def __init__(self):
        self.lines = {}
        self.readers = {}
        self.add(1, 0, ["init"])
        self.add(2, 1, ["sshd"])
        self.add(3, 2, ["sshd-session"])
        self.add(self.OWN, 3, ["python3"], cookie(self.OWN, 3, OTHER))

    def add(self, pid, ppid, arguments, environment=b"", kernel=False):
        """Add a process, born after those that are there already.

        One that is there already becomes this one.
        """
        start = self.lines[pid][0].id.start if pid in self.lines else 100 + len(self.lines)
        process = Process(ProcessId(pid, start), ppid, "S", 1, arguments[0][:15], kernel)
        self.lines[pid] = (process, [one.encode() for one in arguments], environment)
        return self.lines[pid][0]

    def command(self, root, ppid, environment=b"SSH_CONNECTION=x\0", lease=LEASE, run=RUN):
        """Add a root and a child that shows the cookie.

        It names 3 as the pid below which the root began.
        """
        top = self.add(root, ppid, ["/bin/sh", "-c", SCRIPT % (run, lease)], environment)
        self.add(root + 1, root, ["worker"], cookie(root, 3, run, lease))
        return top

    def reader_of(self, pid, descriptor):
        """Return the process that reads what it writes."""
        return self.readers.get((pid, descriptor), "no reader")

    def pids(self):
        return sorted(self.lines)

    def last_pid(self):
        return None

    def environments(self, pids):
        return ((pid, self.lines[pid][2]) for pid in pids if pid in self.lines)

    def environment(self, pid):
        return self.lines[pid][2] or b"" if pid in self.lines else b""

    def process(self, pid):
        return self.lines[pid][0] if pid in self.lines else None

    def arguments(self, pid):
        return self.lines[pid][1] if pid in self.lines else []

    def effective_uid(self, pid):
        return 0

    def program(self, pid):
        return ""

    def dispositions(self, pid):
        return 0, 0

    def pipes(self, pid):
        return set(), set(), set(), False

    def cgroup(self, pid):
        return b""

    def thread_group(self, pid):
        return pid if pid in self.lines else None

    def children(self, pid):
        return [child for child, line in self.lines.items() if line[0].ppid == pid]

    def now(self):
        return 1000


def surveyed(host):
    """Return the judged commands of a host, and the snapshot in which they were found."""
    snapshot = Snapshot(host)
    trees = command_trees(snapshot, host.OWN)
    for tree in trees:
        tree.state, tree.reason = judge(tree, snapshot, host.reader_of)
    return trees, snapshot
