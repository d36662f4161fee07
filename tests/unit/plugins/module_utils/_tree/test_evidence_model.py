# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of evidence, on process tables that change between any two reads.

No process outside of the tree gets a signal. Python 3.6. Where the plugin of the tests is loaded,
--tables N sets the number of tables for each test.
"""

import random as random_module

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import KillPass
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
from ansible_collections.treekill.remote.plugins.module_utils._survey import commands, selected_kill
from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
    CommandTree,
    command_trees,
    cookies_in,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection import (
    CommandsMatch,
    select_abandoned,
    select_runs,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection_options import (
    SelectionOptions,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.state import judge
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TreeControl
from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.model_host import (
    COMMAND,
    FORGER,
    LEASE,
    MENTIONS,
    OTHER,
    ROOT,
    RUN,
    TITLES,
    ModelHost,
    cookie,
)

#: Tables of each test in every run, and tables in which a control has to fail at least once.
TABLES, CONTROL = 100, 400


@pytest.fixture
def tables(request):
    """Run a model on so many tables."""

    def run(model):
        number = request.config.getoption("--tables", None) or TABLES
        checks = [HealthCheck.too_slow]

        @settings(max_examples=number, deadline=None, database=None, suppress_health_check=checks)
        @given(st.randoms(use_true_random=True))
        def on_each(random):
            model(random)

        on_each()

    return run


def finds(model):
    """Whether a model fails in one of some tables, which are always equal."""
    for seed in range(CONTROL):
        try:
            model(random_module.Random(seed))
        except AssertionError:
            return True
    return False


# -- a kill order


def some_tree(random):
    """Draw a host with a command on it, its orphans, what a forger has made, and strangers."""
    host = ModelHost(random)
    session = host.beings[3]
    user = random.choice((ROOT, 1000))
    if random.random() < 0.8:
        root = host.add(10, session, user, b"PATH=/\0", COMMAND, "sh")
        top = root
        if random.random() < 0.5:
            top = host.collector = host.add(
                11, root, user, cookie(10), [title(TITLES[0])], "python3"
            )
        for pid in range(12, 12 + random.randrange(1, 6)):
            host.add(pid, top, user, random.choice((cookie(10), cookie(10), b"")), [b"work"])
    if random.random() < 0.5:
        host.add(20, host.beings[1], user, cookie(10), [b"daemon"])
    for pid in range(30, 30 + random.randrange(4)):
        names = random.choice([*sorted(host.beings), 99999999999])
        host.add(
            pid,
            host.beings[1],
            FORGER,
            cookie(names),
            random.choice([[b"forger"], [title(random.choice(TITLES))]]),
        )
    for pid in range(40, 40 + random.randrange(4)):
        host.stranger(pid)
    if 12 in host.beings and user == ROOT and random.random() < 0.5:
        host.login(host.beings[12])
    return host


def title(form):
    return form.replace(b"%s", RUN.encode(), 1).replace(b"%s", LEASE.encode())


def some_request(random, arrival_timeout):
    """Draw a first signal of its own for the root and for the others.

    All processes get it at once, or one after the other.
    """
    return KillRequest(
        RUN,
        LEASE,
        "n0",
        signal=random.choice((15, 15, 2)),
        children=random.random() < 0.8,
        children_signal=random.choice((15, 15, 2)),
        timeout=0.3,
        arrival_timeout=arrival_timeout,
        alone=random.random() < 0.7,
    )


def kill_order(random, kind=TreeSearch):
    host = some_tree(random)
    request = some_request(random, arrival_timeout=0.1)
    search = kind(CookieMatch(RUN, LEASE), host, host.OWN)
    kill_pass = KillPass(request, TreeControl(search, host, host.send, host.clock, host.sleep))
    if kill_pass.find():
        kill_pass.end()
    kill_pass.report()
    assert not host.wrong


def by_supervisor(random, kind=TreeSearch):
    """Return the pass of a supervisor, whose tree is all that is below it."""
    host = some_tree(random)
    if host.collector is None:
        return
    host.above.add(host.collector.id)
    search = kind(CookieMatch(RUN, LEASE, 10), host, host.collector.id.pid)
    search.include_children_of(host.collector.id.pid, 12)
    kill_pass = KillPass(
        some_request(random, arrival_timeout=0.0),
        TreeControl(search, host, host.send, host.clock, host.sleep),
    )
    if kill_pass.find():
        kill_pass.end()
    assert not host.wrong


def test_a_kill_order_signals_what_is_in_the_tree_and_nothing_else(tables):
    tables(kill_order)


def test_a_supervisor_signals_what_is_in_its_tree_and_nothing_else(tables):
    tables(by_supervisor)


class ListedThenRead(TreeSearch):
    """A search that takes an old list of children for the present one."""

    def _children(self, parent):
        return [
            process
            for process in map(self._table.process, self._table.children(parent.id.pid))
            if process is not None
        ]


class NoLogins(TreeSearch):
    """A search that takes an ssh server for an ordinary process."""

    def _is_login(self, process):
        return False


class ClaimsByMention(TreeSearch):
    """A search that takes a process for the root if its command line has the text of one."""

    def claims(self, process):
        words = self._table.arguments(process.id.pid)
        return len(words) == 3 and b"TREEKILL=%s/%s/$$" % (RUN.encode(), LEASE.encode()) in words[2]

    def take_holder(self, pid):
        super().take_holder(pid)
        root = self._table.process(self.named_root(pid) or 0)
        if root is not None and self.claims(root):
            self.take(root, True)


@pytest.mark.parametrize("kind", [ListedThenRead, NoLogins, ClaimsByMention])
def test_the_model_finds_a_search_that_believes_too_much(kind):
    """The control."""
    assert finds(lambda random: kill_order(random, kind))


# -- a sweep


class SweptHost(ModelHost):
    """A host with several commands of one lease, as forgers can make them.

    Each process has the root that has really started it, or none.

    live: roots that are not dead. listeners: readers of outputs.
    """

    def __init__(self, random):
        super().__init__(random, events=0)
        self.live = set()
        self.owner = {}
        self.kept = set()

    def grow(self, root, environment, most):
        """Add processes that a root has started: below it, and orphans."""
        for dummy in range(self.random.randrange(1, most)):
            self.last += 1
            parent = self.random.choice((root, self.beings[1]))
            self.owner[self.add(self.last, parent, root.user, environment, [b"work"]).id] = root.id

    def command(self, user, dead, pid=None, session=b"SSH_CONNECTION=x\0"):
        """Add a root and what it has started. dead: whether its session is gone."""
        self.last += 1
        pid = pid or self.last
        root = self.add(pid, self.beings[1 if dead else 3], user, session, COMMAND, "sh")
        self.owner[root.id] = root.id
        if not dead:
            self.live.add(root.id)
        worker = self.add(
            self.last + 1, root, user, cookie(pid).replace(b"/8\0", b"/3\0"), [b"worker"]
        )
        self.last += 1
        self.owner[worker.id] = root.id
        self.grow(root, worker.environment, 4)
        return root

    def left(self, user, number):
        """Add processes that a command has left on purpose: its root is gone."""
        for dummy in range(self.random.randrange(1, 4)):
            self.last += 1
            daemon = self.add(self.last, self.beings[1], user, cookie(number), [b"daemon"])
            self.kept.add(daemon.id)

    def forge(self):
        """Add a process of another user with that lease.

        It is an orphan. It may have a pid that another process's cookie names, or a title.
        """
        pid = self.random.choice((4000, 4001, None))
        if pid is None or pid in self.beings:
            self.last += 1
            pid = self.last
        environment = cookie(
            self.random.choice((pid, 4000, 4001, *sorted(self.beings))),
            self.random.choice((b"SSH_CONNECTION=x\0", b"TREEKILL_KEEP=1\0", b"")),
        )
        words = self.random.choice(
            ([b"sleep"], COMMAND, [title(self.random.choice(TITLES))], *MENTIONS)
        )
        self.add(pid, self.beings[self.random.choice((1, 1, 3))], FORGER, environment, words)


def some_commands(random):
    host = SweptHost(random)
    steps = [
        lambda: host.left(random.choice((ROOT, OTHER)), 4000),
        lambda: host.left(ROOT, 4001),
        host.forge,
        host.forge,
        host.forge,
    ]
    steps.append(lambda: host.command(ROOT, True))
    steps.append(lambda: host.command(OTHER, random.random() < 0.5))
    random.shuffle(steps)
    for step in steps:
        if random.random() < 0.8:
            step()
    return host


class ByModel:
    """Stand-in for what sends real signals."""

    host = None

    def __init__(self, find):
        self.send = self.host.send


def sweep(random, monkeypatch, dead, trees_of=command_trees):
    """End what is dead, or what a run has in flight, and return what got signals."""
    host = some_commands(random)
    monkeypatch.setattr(selected_kill, "Signaller", type("There", (ByModel,), {"host": host}))
    monkeypatch.setattr(selected_kill.os, "getpid", lambda: host.OWN)
    snapshot = Snapshot(host)
    trees = trees_of(snapshot, host.OWN)
    for tree in trees:
        tree.state, tree.reason = judge(tree, snapshot, lambda pid, descriptor: "no reader")
    selection = (
        select_abandoned(trees, snapshot, None, set())
        if dead
        else select_runs(trees, SelectionOptions(runs=[RUN]), set())
    )
    host.events = random.randrange(10)
    monkeypatch.setattr(host, "_one_thing", host.fork, raising=False)
    control = selected_kill.control_of(
        selection, KillRequest(timeout=0.3, arrival_timeout=0.0), host
    )
    control.clock, control.sleep = host.clock, host.sleep
    before = {being.id for being in host.beings.values()}
    signalled = []
    send = control.send
    control.send = lambda process, signal: (
        signalled.append((process, signal, lineage(host, process))),
        send(process, signal),
    )
    kill_pass = KillPass(KillRequest(timeout=0.3, arrival_timeout=0.0), control)
    if kill_pass.find():
        kill_pass.end()
    for process, signal, line in signalled:
        if signal in (0, 18):
            continue
        assert not line & host.kept, (process, signal)
        assert not dead or not line & host.live, (process, signal)
        assert host.beings.get(process.pid) is None or process in host.tree
    return host, before


def lineage(host, process):
    """Return a process and those above it, as the host has them."""
    being = host.beings.get(process.pid)
    found = set()
    while being is not None and being.id not in found:
        found.add(being.id)
        if being.id in host.owner:
            found.add(host.owner[being.id])
        being = being.parent
    return found


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "run"])
def test_a_sweep_ends_what_is_dead_of_each_root_and_nothing_that_was_left_or_is_in_flight(
    tables, monkeypatch, dead
):
    def model(random):
        with monkeypatch.context() as patch:
            host, before = sweep(random, patch, dead)
        # No forger has hidden what is dead.
        for process, root in host.owner.items():
            if process in before and root not in host.live:
                assert process.pid not in host.beings or host.beings[process.pid].id != process

    tables(model)


def all_in_one(run, lease, search, snapshot):
    """Return a search that takes each process of a lease for evidence by the user that began it."""
    tree = CommandTree(run, lease, None)
    tree.members = list(search.members.values())
    tree.roots = [process for process in tree.members if process.id in search.roots]
    for process in tree.members:
        tree.cookies.update(cookies_in(snapshot.environment(process.id.pid)))
    return [tree] if tree.members else []


def test_the_model_finds_a_sweep_that_believes_every_user(monkeypatch):
    """The control."""
    monkeypatch.setattr(commands, "_by_root", all_in_one)
    monkeypatch.setattr(CommandsMatch, "believes", lambda self, environment, start, user: True)

    def model(random):
        with monkeypatch.context() as patch:
            sweep(random, patch, True)

    assert finds(model)
