# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that does its worst between any two looks at it.

It forks, exits, execs, and gives a pid to a stranger. No real host does that on demand. Real hosts
are in the other tests. Python 3.6.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)

RUN, LEASE = "0123456789abcdef", "89abcdef"
SCRIPT = ("export TREEKILL=%s/%s/$$/$PPID; work" % (RUN, LEASE)).encode()
OWN = 9
KILL, CONT, STOP = 9, 18, 19


def cookie(root):
    return ("A=1\0TREEKILL=%s/%s/%d/8\0" % (RUN, LEASE, root)).encode()


class Simulated:
    """A process.

    ours: it was started by the command. lost: nothing shows any longer that it was (orphan with a
    cleared environment).
    """

    def __init__(self, pid, start, ppid, environment=b"", arguments=(), ours=False):
        self.id = ProcessId(pid, start)
        self.ppid = ppid
        self.environment = environment
        self.arguments = list(arguments)
        self.ours = ours
        self.stopped = False
        self.ignores = False
        self.denied = False
        self.spare = False
        self.comm = "x"
        self.user = 0
        self.groups = b"0::/user.slice/user-0.slice/session-1.scope\n"
        self.pending = 0


class SimulatedHost:
    """The process table and the signals of a host.

    choose(n): a number below n, by which the host decides what happens next.
    """

    method = "proc"

    def __init__(self, choose, events, newest=True):
        self.seconds = 100.0
        self.events = events
        self.signals = []
        self.processes = {}
        self._choose = choose
        self._tells_newest = newest
        self._last_pid = 70  # soon the pids begin again
        self._ticks = 100
        self.add(1, 0, b"HOME=/\0", [b"init"])
        self.add(2, 1, b"", [b"sshd"])
        self.add(8, 2, b"", [b"bash", b"-c", b"/bin/sh -c '" + SCRIPT + b"'"])
        self.add(7, 2, b"", [b"sh"])
        self.add(OWN, 7, b"", [b"python3"])
        self.root = self.add(10, 8, b"PATH=/\0", [b"/bin/sh", b"-c", SCRIPT], ours=True)
        self.add(11, 10, cookie(10), [b"worker"], ours=True)

    def add(self, pid, ppid, environment, arguments, ours=False):
        self._ticks += 1
        self.processes[pid] = Simulated(pid, self._ticks, ppid, environment, arguments, ours)
        return self.processes[pid]

    # -- what happens by itself

    def happen(self):
        """Let something happen, by chance. It is called before each look and each signal."""
        self.seconds += 0.0001
        if self.events and not self._choose(3):
            self.events -= 1
            running = [
                process
                for process in self.processes.values()
                if not process.stopped and process.id.pid not in (1, 2, 7, 8, OWN)
            ]
            if running:
                actor = running[self._choose(len(running))]
                (self.fork, self.exit, self.clear, self.ignore, self.fork, self.fork_and_exit)[
                    self._choose(6)
                ](actor)
            if not self._choose(4):
                self.stranger()

    def _new_pid(self):
        while True:
            self._last_pid = self._last_pid + 1 if self._last_pid < 99 else 10
            if self._last_pid not in self.processes:
                return self._last_pid

    def fork(self, actor):
        if len(self.processes) < 25:
            environment = (
                actor.environment if actor is not self.root else self._choose(2) * cookie(10)
            )
            child = self.add(
                self._new_pid(), actor.id.pid, environment, actor.arguments, actor.ours
            )
            child.ignores, child.denied, child.spare = actor.ignores, actor.denied, actor.spare

    def exit(self, actor):
        del self.processes[actor.id.pid]
        for process in self.processes.values():
            if process.ppid == actor.id.pid:
                process.ppid = 1

    def fork_and_exit(self, actor):
        self.fork(actor)
        self.exit(actor)

    def clear(self, actor):
        """Let it exec with an empty environment.

        It does not do so if that cuts the last thread that leads to the process: only a supervisor
        holds such processes.
        """
        if actor.ours and self._known_parent(actor):
            actor.environment = b""

    def _known_parent(self, actor):
        return actor.ppid in self.processes and self.processes[actor.ppid].ours

    def ignore(self, actor):
        actor.ignores = True

    def stranger(self):
        """Let a stranger's process be born, with the next pid.

        The pid may be that of one of ours that has just gone.
        """
        if len(self.processes) < 30:
            self.add(self._new_pid(), 1, b"X=TREEKILL=\0", [b"stranger"])

    def findable(self):
        """Return living processes of the command that show it.

        They show it by the cookie, or by the processes above them.
        """
        found = set()
        for process in self.processes.values():
            chain = [process]
            while chain[-1].ppid in self.processes and chain[-1].ppid > 1:
                chain.append(self.processes[chain[-1].ppid])
            if any(
                b"TREEKILL=" + RUN.encode() in one.environment or one is self.root for one in chain
            ):
                found.add(process.id)
        return found

    # -- the process table

    def pids(self):
        self.happen()
        return sorted(self.processes)

    def last_pid(self):
        return self._last_pid if self._tells_newest else None

    def environments(self, pids):
        for pid in pids:
            self.happen()
            if pid in self.processes:
                yield pid, self.processes[pid].environment

    def environment(self, pid):
        self.happen()
        return self.processes[pid].environment if pid in self.processes else b""

    def process(self, pid):
        self.happen()
        process = self.processes.get(pid)
        return process and Process(
            process.id, process.ppid, "T" if process.stopped else "S", 1, process.comm
        )

    def arguments(self, pid):
        self.happen()
        return self.processes[pid].arguments if pid in self.processes else []

    def effective_uid(self, pid):
        return self.processes[pid].user if pid in self.processes else None

    def program(self, pid):
        self.happen()
        return self.processes[pid].comm if pid in self.processes else ""

    def dispositions(self, pid):
        self.happen()
        return 0, 0

    def pipes(self, pid):
        return set(), set(), set(), False

    def cgroup(self, pid):
        return self.processes[pid].groups if pid in self.processes else b""

    def thread_group(self, pid):
        self.happen()
        return pid if pid in self.processes else None

    def children(self, pid):
        self.happen()
        return [process.id.pid for process in self.processes.values() if process.ppid == pid]

    def now(self):
        return self._ticks + 1

    # -- the rest that a kill pass is given

    def send(self, process_id, signal):
        self.happen()
        process = self.processes.get(process_id.pid)
        if process is None or process.id != process_id:
            raise ProcessLookupError
        if process.denied:
            raise PermissionError
        self.signals.append((process, signal))
        if signal == STOP:
            process.stopped = True
        elif signal == CONT:
            process.stopped = False
            if process.pending and not process.ignores:
                self.exit(process)
        elif signal == KILL or (signal and not process.ignores and not process.stopped):
            self.exit(process)
        elif signal:
            process.pending = signal

    def clock(self):
        self.seconds += 0.0001
        return self.seconds

    def sleep(self, seconds):
        assert seconds >= 0
        self.seconds += seconds
        self.happen()
