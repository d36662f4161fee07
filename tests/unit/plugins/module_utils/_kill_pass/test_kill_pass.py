# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a kill pass, on a host that does its worst between any two looks at it."""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import KillPass
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.sigkill import KILL_SECONDS
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.proc_rare import (
    hidden_process,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree import search as process_tree
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TreeControl
from ansible_collections.treekill.remote.plugins.module_utils._tree.fork_chase import _catch
from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.simulated_host import (
    CONT,
    KILL,
    LEASE,
    OWN,
    RUN,
    SCRIPT,
    STOP,
    SimulatedHost,
    cookie,
)

choices = st.randoms(use_true_random=False)
TOUCHABLE_ABOVE = 8


def run(host, **options):
    """Do a whole pass, and return its report."""
    request = KillRequest(RUN, LEASE, "n0", **options)
    search = TreeSearch(CookieMatch(RUN, LEASE), host, OWN)
    kill_pass = KillPass(
        request, TreeControl(search, host, host.send, host.clock, host.sleep, request.children)
    )
    if kill_pass.find():
        kill_pass.end()
    return kill_pass.report()


def quiet(dummy):
    return 1


@pytest.fixture
def large_host(monkeypatch):
    """Make every host one of those where not everything is read again."""
    monkeypatch.setattr(process_tree, "_FEW_PROCESSES", 0)


@given(choices, st.integers(0, 60), st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_nothing_else_is_touched_and_nothing_is_left_unsaid(
    random, events, newest
):
    host = SimulatedHost(random.randrange, events, newest)
    report = run(host, timeout=1.0, arrival_timeout=0.5)
    for process, signal in host.signals:
        assert process.ours or process.id.pid == TOUCHABLE_ABOVE and signal in (0, CONT), (
            process.id,
            signal,
        )
        assert process.id.pid not in (0, 1, 2, 7, OWN)
    host.events = 0
    left = host.findable()
    named = {(row["pid"], row["start"]) for row in report["survivors"]}
    assert {(process.pid, process.start) for process in left} <= named
    assert not any(process.stopped for process in host.processes.values() if not process.ours)


@given(choices, st.integers(0, 40))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_process_is_reported_once_and_never_both_gone_and_alive(random, events):
    host = SimulatedHost(random.randrange, events)
    report = run(host, timeout=0.5, arrival_timeout=0.5)
    rows = [(row["pid"], row["start"]) for row in report["gone"] + report["survivors"]]
    assert len(rows) == len(set(rows))
    alive = {(process.id.pid, process.id.start) for process in host.processes.values()}
    assert not alive & {(row["pid"], row["start"]) for row in report["gone"]}
    assert {row["ended"] for row in report["gone"]} <= {"exited", "TERM", "KILL"}
    assert report["seconds"] < 20


def test_parents_are_stopped_before_children_and_continued_after_them():
    host = SimulatedHost(quiet, 0)
    host.add(12, 11, cookie(10), [b"grandchild"], ours=True)
    run(host)
    order = [(process.id.pid, signal) for process, signal in host.signals if signal]
    assert order == [
        (10, STOP),
        (11, STOP),
        (12, STOP),
        (10, 15),
        (11, 15),
        (12, 15),
        (12, CONT),
        (11, CONT),
        (10, CONT),
    ]


def test_what_ignores_the_first_signal_gets_kill_after_the_timeout_and_not_before():
    host = SimulatedHost(quiet, 0)
    host.processes[11].ignores = True
    report = run(host, timeout=3.0)
    rows = {row["pid"]: row for row in report["gone"]}
    assert rows[10]["ended"] == "TERM"
    assert rows[11]["ended"] == "KILL"
    assert rows[10]["seconds"] < 1
    assert 3.0 <= rows[11]["seconds"] < 4.0


class WaitingRoot(SimulatedHost):
    """Host with a root that waits.

    Its root is a shell that has got INT, and waits for its command before it dies of INT. It waits
    for a supervisor, which ends when it is alone and may move.
    """

    def __init__(self):
        super().__init__(quiet, 0)
        self.supervisor = self.processes[11]
        self.supervisor.arguments = [
            ("treekill: supervisor of run %s, lease %s: a task" % (RUN, LEASE)).encode()
        ]
        self.add(12, 11, b"", [b"module"], ours=True)
        self.root.ignores = True

    def happen(self):
        super().happen()
        alone = all(process.ppid != 11 for process in self.processes.values())
        if alone and not self.supervisor.stopped and 11 in self.processes:
            self.exit(self.supervisor)
            self.root.ignores = False
            if self.root.pending and 10 in self.processes:
                self.exit(self.root)

    def send(self, process_id, signal):
        super().send(process_id, signal)
        if process_id == self.root.id and signal not in (0, STOP, CONT):
            self.root.pending = signal


@pytest.mark.parametrize("ignores", [False, True])
def test_a_root_that_waits_for_its_supervisor_is_not_waited_for_until_the_grace_is_over(ignores):
    """The control: while another process lives, the supervisor is stopped, and the grace lasts."""
    host = WaitingRoot()
    host.processes[12].ignores = ignores
    rows = {row["pid"]: row for row in run(host, signal=2, timeout=3.0)["gone"]}
    assert rows[12]["ended"] == ("KILL" if ignores else "TERM")
    if ignores:
        assert rows[10]["seconds"] >= 3.0
    else:
        assert rows[10]["ended"] == "INT"
        assert rows[10]["seconds"] < 1


@pytest.mark.parametrize("generations", [1, 50, 1000])
def test_at_the_deadline_no_process_is_left_out_that_was_born_while_the_last_one_died(generations):
    """On a busy host each round takes long.

    The deadline comes at the moment when all known processes are gone.
    """
    host = SimulatedHost(quiet, 0)
    host.processes[11].ignores = True
    send, pids = host.send, iter(range(40, 40 + generations))

    def slow(process, signal):
        send(process, signal)
        if signal == KILL:
            host.seconds += KILL_SECONDS
            pid = next(pids, None)
            if pid is not None:
                host.add(pid, 1, cookie(10), [b"next"], ours=True).ignores = True

    host.send = slow
    report = run(host, timeout=1.0)
    assert report["survivors"] or not host.findable()
    assert any("still starting new processes" in row["reason"] for row in report["survivors"]) == (
        generations > 1
    )


def test_no_process_is_killed_above_a_living_one_that_must_not_be_signalled():
    host = SimulatedHost(quiet, 0)
    host.processes[10].ignores = host.processes[11].ignores = True
    host.add(12, 11, b"", [b"roots"], ours=True).denied = True
    host.add(13, 10, b"", [b"other"], ours=True).ignores = True
    report = run(host, timeout=1.0)
    assert {process.id.pid for process, signal in host.signals if signal == KILL} == {13}
    reasons = {row["pid"]: row["reason"] for row in report["survivors"]}
    assert set(reasons) == {10, 11, 12}
    assert reasons[12].startswith("not permitted (owned by root")
    assert (
        reasons[11]
        == reasons[10]
        == "not killed: pid 12 below it may not be signalled and would keep running as an orphan"
    )
    assert not any(process.stopped for process in host.processes.values())


def test_the_root_is_not_stopped_where_its_parent_could_not_be_woken():
    host = SimulatedHost(quiet, 0)
    host.processes[8].denied = True
    run(host)
    assert [(process.id.pid, signal) for process, signal in host.signals if signal == STOP] == [
        (11, STOP)
    ]


def test_a_parent_that_stopped_because_of_us_is_woken_and_one_that_stood_before_is_not():
    for stood in (False, True):
        host = SimulatedHost(quiet, 0)
        parent = host.processes[8]
        parent.stopped = stood
        send = host.send

        def stop_parent_with_root(process, signal, parent=parent, host=host, send=send):
            send(process, signal)
            if process.pid == 10 and signal == STOP:
                parent.stopped = True

        host.send = stop_parent_with_root
        run(host)
        assert parent.stopped == stood


def test_a_pass_that_fails_lets_a_held_root_and_its_parent_go_on():
    host = SimulatedHost(quiet, 0)
    host.root.comm = "sh"
    host.processes[11].ignores = True
    send = host.send

    def stop_parent_with_root(process, signal):
        send(process, signal)
        if process.pid == 10 and signal == STOP:
            host.processes[8].stopped = True

    def fail(dummy):
        assert host.root.stopped, "the root is not held"
        raise MemoryError

    search = TreeSearch(CookieMatch(RUN, LEASE), host, OWN)
    control = TreeControl(search, host, stop_parent_with_root, host.clock, host.sleep)
    kill_pass = KillPass(KillRequest(RUN, LEASE, "n0", arrival_timeout=0.0), control)
    assert kill_pass.find()
    control.sleep = fail
    with pytest.raises(MemoryError):
        kill_pass.end()
    control.resume_all()
    assert not host.processes[8].stopped
    assert not [pid for pid, process in host.processes.items() if process.stopped]


class HostWhoseShellStopsLate(SimulatedHost):
    """A host on which the stop reaches the shell later: a busy one, or a device is slow."""

    def __init__(self, state, seconds):
        super().__init__(quiet, 0)
        self.root.comm = "sh"
        # it takes the second half of the grace period for its clean-up
        self.processes[11].ignores = True
        self._state = state
        self._stops_at = None
        self._seconds = seconds

    def send(self, process_id, signal):
        first_stop = signal == STOP and process_id == self.root.id and self._stops_at is None
        super().send(process_id, 0 if first_stop else signal)
        if first_stop:
            self._stops_at = self.seconds + self._seconds

    def process(self, pid):
        if pid == 10 and pid in self.processes and self._stops_at is not None:
            if self.seconds >= self._stops_at:
                self.root.stopped, self._stops_at = True, float("inf")
            elif self._stops_at != float("inf"):
                return Process(self.root.id, 8, self._state, 1, "sh")
        return super().process(pid)

    def sleep(self, seconds):
        super().sleep(seconds)
        if 11 in self.processes and self.processes[11].pending and self.seconds > 102:
            self.exit(self.processes[11])


@pytest.mark.parametrize(
    ("state", "seconds", "held"),
    [("R", 0.3, True), ("S", 0.03, True), ("R", 0.7, False), ("S", 0.3, False)],
)
def test_the_first_signals_wait_for_a_stop_of_a_process_that_is_ready_to_run(state, seconds, held):
    host = HostWhoseShellStopsLate(state, seconds)
    report = run(host, timeout=5.0)
    assert [row["ended"] for row in report["gone"]] == ["TERM", "TERM"]
    took = {row["pid"]: row["seconds"] for row in report["gone"]}
    assert (took[10] >= took[11]) == held, "a shell that is not stopped can't be held"
    assert took[11] < 5


def test_a_busy_process_that_is_not_stopped_delays_nothing():
    class BusyHost(SimulatedHost):
        def process(self, pid):
            found = super().process(pid)
            ready = found is not None and pid == 10
            return Process(found.id, found.ppid, "R", 1, found.comm) if ready else found

    # a parent that this user could not continue
    host = BusyHost(quiet, 0)
    host.processes[8].denied = True
    report = run(host)
    assert STOP not in [signal for process, signal in host.signals if process is host.root]
    assert report["seconds"] < 0.3


def test_a_pid_that_was_given_to_a_stranger_gets_no_signal():
    host = SimulatedHost(quiet, 0)
    send = host.send

    def swap(process, signal):
        if process.pid == 11 and signal == 15 and host.processes[11].id == process:
            host.add(11, 1, b"", [b"stranger"])
        send(process, signal)

    host.send = swap
    report = run(host)
    assert 11 in host.processes
    assert not host.processes[11].stopped
    assert [row["ended"] for row in report["gone"] if row["pid"] == 11] == ["exited"]


def test_a_process_once_found_stays_found_though_it_clears_its_environment_and_loses_its_parent():
    host = SimulatedHost(quiet, 0)
    send = host.send

    def hide(process, signal):
        send(process, signal)
        if process.pid == 11 and signal == STOP:
            host.processes[11].environment = b""
            host.processes[11].ppid = 1

    host.send = hide
    report = run(host)
    assert {row["pid"] for row in report["gone"]} == {10, 11}


def test_a_process_that_gets_the_cookie_by_exec_after_the_first_scan_is_found():
    host = SimulatedHost(quiet, 0)
    del host.processes[11]
    host.processes[10].arguments = [b"sshd"]
    sleep = host.sleep

    def become_the_command(seconds):
        host.processes[10].environment = cookie(10)
        sleep(seconds)

    host.sleep = become_the_command
    report = run(host, arrival_timeout=1.0)
    assert report["root"] == {"pid": 10, "ppid": 8}
    assert 10 not in host.processes


@pytest.mark.parametrize("newest", [12, 75])
def test_a_pid_that_went_from_a_stranger_to_the_tree_between_two_scans_is_looked_at_again(
    large_host, newest
):
    host = SimulatedHost(quiet, 0)
    reused = host.add(newest, 1, b"X=1\0", [b"stranger"])
    host.processes[11].ignores = True
    sleep = host.sleep

    def reuse(seconds):
        if host.processes.get(newest) is reused:
            host.add(newest, 1, cookie(10), [b"one of ours"], ours=True)
            host._last_pid = newest
        sleep(seconds)

    host.sleep = reuse
    report = run(host, timeout=1.0)
    assert newest in {row["pid"] for row in report["gone"]}


def test_a_process_that_shows_only_a_while_after_it_was_given_its_pid_is_found(large_host):
    host = SimulatedHost(quiet, 0)
    host.processes[11].ignores = True
    host._last_pid = 75
    before, sleep, shown = host._ticks, host.sleep, []

    def show(seconds):
        if host.seconds > 100.02 and not shown:
            shown.append(74)
            host.add(74, 1, cookie(10), [b"late"], ours=True).id = ProcessId(74, before)
        sleep(seconds)

    host.sleep = show
    report = run(host, timeout=1.0)
    assert {row["pid"]: row["seconds"] < 0.5 for row in report["gone"]}[74]


@pytest.mark.parametrize("again", [True, False], ids=["the command again", "started by the tree"])
def test_of_what_comes_in_the_grace_only_a_command_that_arrives_again_gets_the_first_signal(
    again,
):
    host = SimulatedHost(quiet, 0)
    host.processes[11].ignores = True
    sleep, come_already = host.sleep, []

    def come(seconds):
        if host.seconds > 100.02 and not come_already:
            come_already.append(True)
            host.add(
                80,
                8 if again else 11,
                b"PATH=/\0" if again else cookie(10),
                [b"/bin/sh", b"-c", SCRIPT] if again else [b"rm"],
                ours=True,
            )
            host.add(81, 80, cookie(80 if again else 10), [b"worker"], ours=True)
            host._last_pid = 81
        sleep(seconds)

    host.sleep = come
    report = run(host, timeout=1.0)
    ended = {row["pid"]: row["ended"] for row in report["gone"]}
    assert (ended[80], ended[81]) == (("TERM", "TERM") if again else ("KILL", "KILL"))


def test_what_gets_the_pid_of_a_holder_before_it_is_identified_is_no_holder():
    host = SimulatedHost(quiet, 0)
    process = host.process

    def swap(pid):
        if pid == 11 and host.processes[11].ours:
            host.add(11, 1, b"", [b"stranger"])
        return process(pid)

    host.process = swap
    run(host)
    assert {process.id.pid for process, dummy in host.signals} <= {8, 10}


def test_what_stops_itself_again_after_it_was_continued_is_continued_again():
    """sudo and su do so when they find their command stopped."""
    host = SimulatedHost(quiet, 0)
    host.processes[11].ignores = True
    send = host.send

    def stop_again(process, signal):
        send(process, signal)
        if (
            process.pid == 11
            and signal == CONT
            and 11 in host.processes
            and host.processes[11].ignores
        ):
            host.processes[11].ignores = False
            host.processes[11].stopped = True

    host.send = stop_again
    assert {row["ended"] for row in run(host)["gone"]} == {"TERM"}


def with_a_spare_below_the_tree():
    host = SimulatedHost(quiet, 0)
    host.add(12, 11, b"TREEKILL=spare\0", [b"daemon"])
    host.add(13, 12, b"", [b"what the daemon starts"])
    host.add(14, 13, cookie(10), [b"with the cookie again"])
    return host


def test_nothing_is_signalled_below_a_spare():
    host = with_a_spare_below_the_tree()
    report = run(host)
    assert {row["pid"] for row in report["spared"]} == {12, 13, 14}
    assert {12, 13, 14} <= set(host.processes)
    assert not {12, 13, 14} & {process.id.pid for process, dummy in host.signals}


@pytest.mark.parametrize("what", ["ends", "starts another"])
def test_what_a_spare_started_stays_spared_when_the_spare(what):
    host = with_a_spare_below_the_tree()
    host.processes[11].ignores = True
    sleep = host.sleep

    def change(seconds):
        if what == "ends":
            for pid in (12, 13):
                if pid in host.processes:
                    host.exit(host.processes[pid])
        elif 71 not in host.processes:
            host.add(71, 13, cookie(10), [b"another"])
            host._last_pid = 71
        sleep(seconds)

    host.sleep = change
    run(host, timeout=1.0)
    assert not {12, 13, 14, 71} & {process.id.pid for process, dummy in host.signals}


def test_a_command_below_a_spare_login_is_still_ended():
    host = SimulatedHost(quiet, 0)
    host.processes[2].environment = host.processes[8].environment = b"TREEKILL=spare\0"
    assert {row["pid"] for row in run(host)["gone"]} == {10, 11}


def test_a_forged_cookie_names_no_process():
    host = SimulatedHost(quiet, 0)
    host.add(30, 1, b"", [b"victim"])
    for named in (30, 8, 2, 1, 0, 7, OWN):
        host.add(40 + named, 11, cookie(named), [b"forger"], ours=True)
    run(host)
    assert {1, 2, 7, 8, OWN, 30} <= set(host.processes)
    assert {process.id.pid for process, signal in host.signals if signal} == {10, 11} | {
        40 + named for named in (30, 8, 2, 1, 0, 7, OWN)
    }


def test_the_pass_spares_itself_and_what_stands_above_it_within_the_tree():
    host = SimulatedHost(quiet, 0)
    host.add(7, 11, cookie(10), [b"sh"])
    host.add(OWN, 7, cookie(10), [b"python3"])
    host.add(12, OWN, cookie(10), [b"sudo"])
    host.add(13, 7, cookie(10), [b"beside the pass"], ours=True)
    run(host)
    assert {10, 11, 7, OWN, 12} <= set(host.processes)
    assert 13 not in host.processes


class LastWords(SimulatedHost):
    """A host on which an orphan starts another when the pass first looks at it, and then ends."""

    COLLECTOR, FIRST, SECOND = 20, 21, 22

    def __init__(self):
        super().__init__(quiet, 0)
        self.add(self.COLLECTOR, 10, b"", [b"supervisor"])
        self.add(self.FIRST, self.COLLECTOR, b"", [b"orphan"], ours=True)

    def process(self, pid):
        if self.processes.get(pid) and pid == self.FIRST:
            del self.processes[pid]
            self.add(self.SECOND, self.COLLECTOR, b"", [b"orphan"], ours=True)
        return super().process(pid)


class LastWordsOfAZombie(LastWords):
    """Such a host whose supervisor is stopped: what has ended stays in the table, dead."""

    def process(self, pid):
        if pid == self.FIRST and self.SECOND not in self.processes:
            self.add(self.SECOND, self.COLLECTOR, b"HOME=/\0", [b"orphan"], ours=True)
        found = SimulatedHost.process(self, pid)
        return Process(found.id, found.ppid, "Z", 1, "x") if pid == self.FIRST else found


@pytest.mark.parametrize("kind", [LastWords, LastWordsOfAZombie])
def test_an_orphan_that_ends_as_it_is_looked_at_may_have_left_another(kind):
    """A process may be running from us. A pass that looks on finds the other one."""
    host = kind()
    search = TreeSearch(CookieMatch(RUN, LEASE), host, OWN)
    search.include_children_of(host.COLLECTOR)
    search.take_orphans()
    assert search.missed == host.FIRST
    assert not any(found.pid == host.SECOND for found in search.members)
    search.missed = 0
    search.take_orphans()
    assert [found.pid for found in search.members] == [host.SECOND]
    assert not search.missed


def test_what_stands_below_another_process_of_the_same_number_is_not_taken():
    """The collector has ended, and its pid was given to another process."""
    host = LastWords()
    search = TreeSearch(CookieMatch(RUN, LEASE), host, OWN)
    search.include_children_of(host.COLLECTOR)
    host.add(host.COLLECTOR, 1, b"", [b"stranger"])
    for dummy in range(2):
        search.take_orphans()
    assert not search.members


SERVICE = b"0::/system.slice/web.service\n"


def served(host, pid, ppid, groups, mark=b"INVOCATION_ID=00\0"):
    process = host.add(pid, ppid, mark + cookie(10), [b"httpd"])
    process.groups = groups
    return process


def test_a_service_that_was_given_the_cookie_by_systemd_is_not_touched_nor_what_it_has_started():
    host = SimulatedHost(quiet, 0)
    service = served(host, 20, 1, SERVICE)
    served(host, 21, 20, SERVICE)
    served(
        host,
        22,
        1,
        b"1:name=systemd:/\n0::/user.slice/user-1.slice/user@1.service/app.slice/web.service\n",
    )
    report = run(host)
    assert {row["pid"] for row in report["gone"]} == {10, 11}
    assert not report["survivors"]
    assert service.id.pid in host.processes


@pytest.mark.parametrize(
    "groups",
    [
        b"0::/user.slice/user-1.slice/user@1.service/app.slice/run-1.scope\n",
        b"0::/\n",
        b"",
        b"0::/user.slice/user-1.slice/session-2.scope\n",
    ],
    ids=["in a scope of the user's", "in a container", "without groups", "in another session"],
)
def test_a_holder_that_no_other_service_is_around_is_of_the_tree(groups):
    host = SimulatedHost(quiet, 0)
    served(host, 20, 1, groups)
    assert 20 in {row["pid"] for row in run(host)["gone"]}


def test_a_holder_in_the_service_of_the_pass_is_of_the_tree_and_instances_of_a_template_are_one():
    host = SimulatedHost(quiet, 0)
    host.processes[OWN].groups = b"0::/system.slice/system-ssh.slice/ssh@2-10.0.0.1:22.service\n"
    served(host, 20, 1, b"0::/system.slice/system-ssh.slice/ssh@1-10.0.0.1:22.service\n")
    assert 20 in {row["pid"] for row in run(host)["gone"]}


def test_a_child_of_the_tree_is_of_the_tree_in_whichever_service():
    host = SimulatedHost(quiet, 0)
    served(host, 20, 11, SERVICE)
    assert 20 in {row["pid"] for row in run(host)["gone"]}


def chased(host):
    """Return a search that looks for what runs away, just after the host has given the pid 20."""
    search = TreeSearch(CookieMatch(RUN, LEASE), host, OWN)
    control = TreeControl(search, host, host.send, host.clock, host.sleep)
    _catch(control, 20)
    return search


def test_a_chase_stops_only_what_has_the_cookie_when_it_is_identified():
    """The pid was a holder's when its environment was read, and is a stranger's now."""
    host = SimulatedHost(quiet, 0)
    host.add(20, 1, b"", [b"stranger"])
    search = chased(host)
    assert not host.signals
    assert search.missed == 20


def test_a_service_that_was_stopped_in_a_chase_is_continued_and_not_taken():
    host = SimulatedHost(quiet, 0)
    served(host, 20, 1, SERVICE)
    search = chased(host)
    assert not search.members
    assert [signal for process, signal in host.signals] == [STOP, CONT]


def test_a_thread_that_is_met_in_a_chase_is_no_process_and_ends_nothing():
    """Its number has an environment, and pidfd_open returns EINVAL."""
    host = SimulatedHost(quiet, 0)
    host.add(20, 11, cookie(10), [b"thread"])
    host.thread_group = lambda pid: 11 if pid == 20 else pid

    def refuse(process, signal):
        raise OSError(22, "Invalid argument")

    host.send = refuse
    search = chased(host)
    assert not search.missed


def test_the_report_has_no_process_that_has_got_the_pid_of_one_of_the_tree():
    host = SimulatedHost(quiet, 0)
    send = host.send

    def swap(process, signal):
        send(process, signal)
        if process.pid == 11 and signal == STOP:
            host.add(11, 1, b"", [b"mysql", b"-psecret"])

    host.send = swap
    row = {row["pid"]: row for row in run(host)["gone"]}[11]
    assert "secret" not in row["command"]
    assert row["ended"] == "exited"


def test_a_member_that_has_ended_is_the_parent_of_nothing():
    """A stranger has its pid, and starts something in the grace."""
    host = SimulatedHost(quiet, 0)
    host.add(12, 11, cookie(10), [b"ends first"], ours=True)
    host.processes[11].ignores = True
    sleep = host.sleep

    def reuse(seconds):
        if 12 not in host.processes:
            host.add(12, 1, b"", [b"daemon of another user"])
            host.add(71, 12, b"", [b"its worker"])
            host._last_pid = 71
        sleep(seconds)

    host.sleep = reuse
    run(host, timeout=1.0)
    assert not {
        process.id
        for process, dummy in host.signals
        if process.arguments[0] in (b"daemon of another user", b"its worker")
    }
    assert {12, 71} <= set(host.processes)


def test_a_pid_that_is_a_strangers_when_the_list_of_children_is_read_is_not_taken():
    host = SimulatedHost(quiet, 0)
    host.add(12, 11, b"", [b"child"], ours=True)
    children = host.children

    def listed(pid):
        found = children(pid)
        if pid == 11 and host.processes[12].ours:
            host.add(12, 1, b"", [b"stranger"])
        return found

    host.children = listed
    run(host)
    assert {process.id.pid for process, dummy in host.signals} <= {8, 10, 11}


def test_a_child_that_loses_its_parent_while_the_list_of_children_is_read_is_taken():
    """The control: it was there before the list was, so the list includes it."""
    host = SimulatedHost(quiet, 0)
    middle = host.add(12, 11, b"", [b"middle"], ours=True)
    host.add(13, 12, b"HOME=/\0", [b"left behind"], ours=True)
    process = host.process

    def read(pid):
        if pid == 13 and middle.id.pid in host.processes:
            host.exit(middle)
        return process(pid)

    host.process = read
    run(host)
    assert 13 not in host.processes


def test_a_running_job_of_at_is_ended_and_its_starter_is_not():
    """atd gives it the environment of the task that has asked for it."""
    host = SimulatedHost(quiet, 0)
    host.add(20, 1, b"", [b"atd"])
    host.add(21, 20, b"", [b"sh"])
    host.add(22, 21, cookie(10), [b"job"], ours=True)
    run(host)
    assert 22 not in host.processes
    assert {20, 21} <= set(host.processes)


def test_a_cookie_that_names_a_pid_no_process_can_have_breaks_nothing():
    host = SimulatedHost(quiet, 0)
    host.add(20, 1, cookie(99999999999), [b"job"], ours=True)
    assert {row["pid"] for row in run(host)["gone"]} == {10, 11, 20}
    assert hidden_process(99999999999) is None


@pytest.mark.parametrize(
    "words",
    [b"ls # %s", b"echo a; # so: %s", b": '%s'", b"cat <<X\n%s\nX"],
    ids=["comment", "later comment", "quotes", "here-document"],
)
@pytest.mark.parametrize("named", [True, False], ids=["named by a cookie", "without any cookie"])
def test_a_shell_whose_script_mentions_the_cookie_is_not_the_root(words, named):
    host = SimulatedHost(quiet, 0)
    host.exit(host.processes[11])
    host.exit(host.root)
    host.add(20, 2, b"", [b"sh", b"-c", words.replace(b"%s", SCRIPT)])
    host.add(21, 20, b"", [b"its child"])
    if named:
        host.add(22, 1, cookie(20), [b"forger"], ours=True)
    run(host)
    assert {20, 21} <= set(host.processes)
    assert not {20, 21} & {process.id.pid for process, dummy in host.signals}


class Impostor(SimulatedHost):
    """A job, below the supervisor or without one, that shows the title of a supervisor.

    When it is continued, it starts a process that shows nothing.
    """

    def __init__(self, title, supervised, environment=None):
        super().__init__(quiet, 0)
        self.processes[11].arguments = [title_of(LEASE)] if supervised else [b"module"]
        self.job = self.add(
            12, 11, cookie(10) if environment is None else environment, [title], ours=True
        )
        self.job.ignores = True
        self.born = []

    def send(self, process_id, signal):
        super().send(process_id, signal)
        if (
            process_id == self.job.id
            and signal == CONT
            and 12 in self.processes
            and len(self.born) < 3
        ):
            self.born.append(
                self.add(
                    80 + len(self.born),
                    11 if 11 in self.processes else 1,
                    b"",
                    [b"hidden"],
                    ours=True,
                )
            )

    def exit(self, actor):
        super().exit(actor)
        for process in self.processes.values():
            if process.ppid == 1 and process in getattr(self, "born", ()) and 11 in self.processes:
                process.ppid = 11


def title_of(lease):
    return ("treekill: supervisor of run %s, lease %s: a task" % (RUN, lease)).encode()


@pytest.mark.parametrize(
    "title",
    [b"treekill: supervisor of my own", title_of(LEASE), title_of("00000000")],
    ids=["made up", "its own lease's", "another lease's"],
)
@pytest.mark.parametrize("environment", [None, b""], ids=["cookie", "cleared"])
def test_a_job_that_calls_itself_a_supervisor_is_ended_and_named_and_so_is_what_it_starts(
    title, environment
):
    host = Impostor(title, True, environment)
    report = run(host, timeout=0.5)
    assert not {12, 80, 81, 82} & set(host.processes)
    assert {12} | {process.id.pid for process in host.born} <= {
        row["pid"] for row in report["gone"]
    }
    assert report["supervised"]


@pytest.mark.parametrize(
    ("user", "supervised"), [(0, True), (33, False)], ids=["the root's", "another one's"]
)
def test_a_supervisor_runs_as_the_user_of_the_root(user, supervised):
    host = SimulatedHost(quiet, 0)
    host.processes[11].arguments = [title_of(LEASE)]
    host.processes[11].user = user
    report = run(host)
    assert report["supervised"] == supervised
    # It is left alone while other processes are left.
    assert (
        15 in [signal for process, signal in host.signals if process.id.pid == 11]
    ) != supervised


def searched(host):
    """Return a search that has found the tree of this host, and its table."""
    search = TreeSearch(CookieMatch(RUN, LEASE), host, OWN)
    search.scan()
    assert search.roots
    return search


def test_a_holder_whose_parent_ends_while_it_is_looked_at_is_taken_all_the_same():
    """Its root was found above it, and is the parent of nothing a moment later."""
    host = SimulatedHost(quiet, 0)
    search = searched(host)
    host.add(20, 11, cookie(10), [b"holder"], ours=True)
    children = host.children

    def end_first(pid):
        if 11 in host.processes:
            host.exit(host.processes[11])
        return children(pid)

    host.children = end_first
    search.take_holder(20)
    assert host.processes[20].id in search.members


def test_a_process_that_has_lost_its_environment_because_it_ends_may_have_started_another():
    """Its state is not that of a dead process yet."""
    host = SimulatedHost(quiet, 0)
    search = searched(host)
    host.add(20, 1, b"", [b"ending"], ours=True)
    process = host.process

    def ending(pid):
        found = process(pid)
        if found:
            found.exiting = pid == 20
        return found

    host.process = ending
    search.scan(complete=True)
    assert search.vanished
    search.scan(complete=True)
    assert not search.vanished, "what it has started is older than this scan"


class Hopper(SimulatedHost):
    """A host where a process has gone whenever it is looked at, and has left another one.

    left: how many times it still does so. strange: whether it is of the tree.
    """

    def __init__(self, left, strange=False):
        super().__init__(quiet, 0)
        self.left = left
        self.strange = strange
        self.hop()

    def hop(self):
        self.processes.pop(self._last_pid, None)
        self._last_pid += 1
        self.left -= 1
        if self.left >= 0:
            environment = b"X=1\0" if self.strange else cookie(10)
            self.add(
                self._last_pid, 1, environment, [b"hops"], ours=not self.strange
            ).ignores = True

    def look(self, pid):
        if pid == self._last_pid and pid in self.processes:
            self.hop()

    def environments(self, pids):
        for pid in pids:
            self.look(pid)
            yield from super().environments((pid,))

    def process(self, pid):
        self.look(pid)
        return super().process(pid)


@pytest.mark.parametrize("strange", [False, True])
@pytest.mark.parametrize("newest", [True, False])
def test_a_host_on_which_a_process_is_always_gone_when_it_is_looked_at_is_not_confirmed(
    strange, newest
):
    host = Hopper(1 << 30, strange)
    host._tells_newest = newest
    (row,) = run(host, timeout=0.5)["survivors"]
    assert row["reason"].startswith("not confirmed: ")


@pytest.mark.parametrize("newest", [True, False])
def test_a_host_on_which_that_ends_is_confirmed_at_once(newest):
    """The control: one look that has read everything alive is enough."""
    host = Hopper(40)
    host._tells_newest = newest
    report = run(host, timeout=5.0)
    assert report["survivors"] == []
    assert report["seconds"] < 5
    assert not host.findable()
