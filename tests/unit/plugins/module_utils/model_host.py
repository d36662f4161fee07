# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose process table changes between any two reads.

It computes by itself what belongs to a tree. Python 3.6. What belongs to the tree follows by the
rules of docs/how_it_kills.md from what really happened, not from what can be read. Nothing in here
is taken from the collection but the form of a process.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)

RUN, LEASE = "0123456789abcdef", "89abcdef"
MARK = ("TREEKILL=%s/%s/" % (RUN, LEASE)).encode()
ROOT, USER, FORGER, OTHER = 0, 1000, 60002, 60003
HOLD, GO = 19, 18
#: Words that mention a root's script, and a script of a real root.
SCRIPT = b"export " + MARK + b"$$/$PPID; work"
COMMAND = [b"/bin/sh", b"-c", SCRIPT]
MENTIONS = [
    [b"sh", b"-c", b"ls # " + SCRIPT],
    [b"sh", b"-c", b": '" + SCRIPT + b"'"],
    [b"grep", MARK, b"/tmp/log"],
    [b"sh", b"-c", b"sleep 9; # x; " + SCRIPT],
]
TITLES = [
    b"treekill: supervisor of run %s, lease %s: a task",
    b"treekill: ending the tree of run %s, lease %s",
    b"treekill: supervisor of my own",
]
SERVERS = ("sshd", "sshd-session", "dropbear")
#: Programs of a process, and its masks of ignored and handled signals. Both matter to the order of
#: the first signals.
PROGRAMS = ("x", "x", "sh", "bash", "sudo", "su", "python3", "terragrunt", "make", "")
TERM, INT = 1 << 14, 1 << 1
DISPOSITIONS = ((0, 0), (0, 0), (0, TERM), (TERM, 0), (INT, TERM), (0, TERM | INT), (TERM | INT, 0))


def cookie(root, more=b""):
    """Return an environment with the cookie of the lease."""
    return b"A=1\0" + MARK + b"%d/8\0" % root + more


def carries(environment):
    """Whether an environment has the cookie as an entry of its own."""
    return any(entry.startswith(MARK) for entry in environment.split(b"\0"))


class Being:
    """A process as it really is.

    parent: another one, which never changes here. program, ignores, handles: what it runs, and its
    masks of signals.
    """

    def __init__(self, identity, parent, user, environment, arguments, comm):
        self.id = identity
        self.program = comm
        self.ignores, self.handles = 0, 0
        self.parent = parent
        self.user = user
        self.environment = environment
        self.arguments = arguments
        self.comm = comm
        self.state = "S"
        self.pending = 0

    @property
    def is_server(self):
        """Whether it is an ssh server of root's."""
        return self.user == ROOT and self.comm in SERVERS

    @property
    def shows(self):
        """Whether its own environment shows that it belongs to the lease."""
        return not self.is_server and (carries(self.environment) or self.arguments == COMMAND)


class ModelHost:
    """The process table, the signals and the clock of a host.

    random: decides what happens, and how often.
    """

    method = "proc"
    hidepid = False
    OWN = 9

    def __init__(self, random, events=40):
        self.random = random
        self.events = events
        self.seconds = 100.0
        self.ticks = 100
        self.beings = {}
        self.freed = []
        self.tree = set()
        self.carriers = set()
        self.collector = None
        self.wrong = []
        self.last = 100
        init = self.add(1, None, ROOT, b"", [b"init"], "init")
        sshd = self.add(2, init, ROOT, b"", [b"sshd"], "sshd")
        session = self.add(3, sshd, ROOT, b"", [b"sshd-session"], "sshd-session")
        own = self.add(7, session, ROOT, b"", [b"sh"], "sh")
        self.add(
            self.OWN, own, ROOT, cookie(1).replace(RUN.encode(), b"f" * 16), [b"python3"], "python3"
        )
        self.above = {process.id for process in self.beings.values()}

    # -- what really happens

    def add(self, pid, parent, user, environment, arguments, comm="x"):
        """Let a process be born."""
        self.ticks += 1
        being = self.beings[pid] = Being(
            ProcessId(pid, self.ticks), parent, user, environment, list(arguments), comm
        )
        if pid > self.OWN and not being.is_server:
            being.program = self.random.choice(PROGRAMS)
            being.ignores, being.handles = self.random.choice(DISPOSITIONS)
        self.note()
        return being

    def note(self):
        """Add it to the tree for good.

        What shows its membership is in, and each child of what is in.

        Not the process that the supervisor stands for, which gets the orphans of its tree.
        """
        grown = True
        while grown:
            grown = False
            for being in self.beings.values():
                if being.id not in self.tree and self._belongs(being):
                    self.tree.add(being.id)
                    self.carriers.update(above.id for above in self._above(being))
                    grown = True

    def _belongs(self, being):
        if being.is_server or being.environment.startswith(b"TREEKILL=spare"):
            return False
        return (
            being.shows
            or being.parent is not None
            and (being.parent.id in self.tree or being.parent is self.collector)
        )

    def pid(self):
        """Return a pid for a birth: most often one that was given back a moment ago."""
        if self.freed and self.random.random() < 0.7:
            return self.freed.pop()
        self.last += 1
        return self.last

    def end(self, being):
        """End it. Its children get the supervisor of the tree as their parent, or pid 1."""
        if self.beings.get(being.id.pid) is not being:
            return
        del self.beings[being.id.pid]
        self.freed.append(being.id.pid)
        for child in self.beings.values():
            if child.parent is being:
                adopts = (
                    self.collector is not None
                    and self.beings.get(self.collector.id.pid) is self.collector
                    and being.id in self.tree
                )
                child.parent = (
                    self.collector if adopts and child is not self.collector else self.beings[1]
                )
        self.note()

    def happen(self):
        """Let something happen, by chance. It is called before each read and each signal."""
        self.seconds += 0.0001
        while self.events and self.random.random() < 0.3:
            self.events -= 1
            moving = [
                being
                for being in self.beings.values()
                if being.id not in self.above and being.state != "T" and being is not self.collector
            ]
            if moving:
                self._one_thing(self.random.choice(moving))

    def _one_thing(self, being):
        what = self.random.randrange(13)
        if what < 3:
            self.end(being)
            if self.random.random() < 0.6:
                self.stranger(self.freed.pop() if self.freed else self.pid())
        elif what < 5:
            self.fork(being)
        elif what == 5:
            self.stranger(self.pid())
        elif what == 9:
            self.fork(being)
            self.end(being)
        elif what == 10 and being.user == ROOT and being.id in self.tree:
            self.login(being)
        else:
            self._change(being, what)
        self.note()

    def _change(self, being, what):
        """Change how it shows that it belongs to the lease."""
        if what == 6:
            being.environment = b""
        elif what == 7 and being.user == FORGER:
            being.environment = cookie(self.random.choice(sorted(self.beings)))
        elif what == 8 and being.user == FORGER:
            being.arguments = [
                self.random.choice(TITLES)
                .replace(b"%s", RUN.encode(), 1)
                .replace(b"%s", LEASE.encode())
            ]
        elif what == 12:
            being.program = self.random.choice(PROGRAMS)
            being.ignores, being.handles = self.random.choice(DISPOSITIONS)

    def fork(self, being):
        if len(self.beings) < 40:
            self.add(self.pid(), being, being.user, being.environment, being.arguments, being.comm)

    def stranger(self, pid):
        """Add a process that has nothing to do with the tree.

        It may have children, and words that only mention the tree.
        """
        if len(self.beings) < 40:
            words = self.random.choice([*MENTIONS, [b"work"], [b"work"]])
            one = self.add(
                pid,
                self.beings[1],
                self.random.choice((ROOT, OTHER)),
                b"X=" + MARK + b"1/1\0",
                words,
            )
            for dummy in range(self.random.randrange(3)):
                self.fork(one)

    def login(self, being):
        """Start the ssh server again, as a task of the tree, and log a user in."""
        if len(self.beings) < 36:
            server = self.add(
                self.pid(),
                being,
                ROOT,
                self.random.choice((b"", being.environment)),
                [b"sshd"],
                self.random.choice(SERVERS),
            )
            session = self.add(
                self.pid(), server, ROOT, server.environment, [b"sshd: other"], "sshd"
            )
            shell = self.add(self.pid(), session, OTHER, b"HOME=/\0", [b"-bash"])
            self.fork(shell)

    # -- the process table

    def pids(self):
        self.happen()
        return sorted(self.beings)

    def last_pid(self):
        return None

    def environments(self, pids):
        for pid in pids:
            self.happen()
            if pid in self.beings:
                yield pid, self.beings[pid].environment

    def environment(self, pid):
        self.happen()
        return self.beings[pid].environment if pid in self.beings else b""

    def process(self, pid):
        self.happen()
        being = self.beings.get(pid)
        return being and Process(
            being.id, being.parent.id.pid if being.parent else 0, being.state, 1, being.comm
        )

    def arguments(self, pid):
        self.happen()
        return self.beings[pid].arguments if pid in self.beings else []

    def effective_uid(self, pid):
        self.happen()
        return self.beings[pid].user if pid in self.beings else None

    def program(self, pid):
        self.happen()
        return self.beings[pid].program if pid in self.beings else ""

    def dispositions(self, pid):
        self.happen()
        being = self.beings.get(pid)
        return (being.ignores, being.handles) if being else (0, 0)

    def pipes(self, pid):
        return set(), set(), set(), False

    def cgroup(self, pid):
        return b""

    def thread_group(self, pid):
        self.happen()
        return pid if pid in self.beings else None

    def children(self, pid):
        self.happen()
        return [
            being.id.pid
            for being in self.beings.values()
            if being.parent is not None and being.parent.id.pid == pid
        ]

    def now(self):
        return self.ticks + 1

    # -- signals and time

    def send(self, process, signal):
        """Send as Signaller does: to the process that is meant, or to none."""
        self.happen()
        being = self.beings.get(process.pid)
        if being is None or being.id != process:
            raise ProcessLookupError
        if signal and process not in self.tree and (signal != GO or not self._carries(being)):
            self.wrong.append((process, signal, being.user, being.arguments, being.comm))
        if signal == HOLD:
            being.state = "T"
        elif signal == GO:
            being.state = "S"
            if being.pending:
                self.end(being)
        elif signal == 9:
            self.end(being)
        elif (
            signal
            and not being.ignores >> signal - 1 & 1
            and (not being.handles >> signal - 1 & 1 or self.random.random() < 0.6)
        ):
            if being.state == "T":
                being.pending = signal
            else:
                self.end(being)

    def _carries(self, being):
        """Whether it has been above a process of the tree.

        It may have stopped itself with that process, and is continued.
        """
        return being.id in self.carriers

    def _above(self, being):
        while being.parent is not None:
            being = being.parent
            yield being

    def clock(self):
        self.seconds += 0.0001
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds
        self.happen()
