# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a command is abandoned.

Each piece of the evidence is needed. If one is missing, no command is reported as dead.
"""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
    command_trees,
    runs_above,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.state import judge

from tests.unit.plugins.module_utils.still_host import LEASE, OTHER, RUN, SCRIPT, StillHost, cookie

TITLE = "treekill: supervisor of run %s, lease %s: A_task"


@pytest.fixture
def host():
    return StillHost()


def judged(host):
    """(state, reason) of the one command of the run."""
    snapshot = Snapshot(host)
    [tree] = [tree for tree in command_trees(snapshot, host.OWN) if tree.run == RUN]
    return judge(tree, snapshot, host.reader_of)


def state(host):
    return judged(host)[0]


def test_a_root_without_a_session_and_without_a_reader_is_abandoned(host):
    host.command(20, 1)
    assert state(host) == "abandoned"


def test_below_a_session_it_is_running(host):
    host.command(20, 3)
    assert judged(host) == ("running", "below sshd-session, pid 3")


def test_below_any_other_process_it_is_running(host):
    """A worker of a local connection, an adopter of orphans, and another run's supervisor live."""
    host.add(15, 1, ["ansible-playbook"])
    host.command(20, 15)
    assert state(host) == "running"


@pytest.mark.parametrize(
    "wrapper",
    [
        ["sudo", "-n", "/bin/sh", "-c", SCRIPT % (RUN, LEASE)],
        ["bash", "-c", "sh -c '%s'" % SCRIPT % (RUN, LEASE)],
    ],
)
def test_what_is_there_only_to_start_the_root_is_no_session(host, wrapper):
    host.add(15, 1, wrapper, b"SSH_CONNECTION=x\0")
    host.command(20, 15, b"")
    assert state(host) == "abandoned"
    host.add(15, 3, wrapper, b"SSH_CONNECTION=x\0")
    assert state(host) == "running"


def test_a_wrapper_of_another_command_is_a_stranger(host):
    host.add(15, 1, ["sudo", SCRIPT % (RUN, "00000000")], b"SSH_CONNECTION=x\0")
    host.command(20, 15)
    assert state(host) == "running"


def test_in_a_container_the_parent_is_outside(host):
    host.command(20, 0)
    assert state(host) == "unknown"


def test_a_parent_that_does_not_show_says_nothing(host):
    host.command(20, 17)
    assert state(host) == "unknown"


def test_a_root_that_pid_1_may_have_started_is_not_dead(host):
    host.add(20, 1, ["/bin/sh", "-c", SCRIPT % (RUN, LEASE)], b"SSH_CONNECTION=x\0")
    assert state(host) == "unknown"
    host.add(21, 20, ["worker"], cookie(20, 1))
    assert state(host) == "unknown"


def test_what_did_not_begin_in_an_ssh_session_is_not_dead(host):
    host.command(20, 1, b"NOT_SSH_CONNECTION=x\0")
    assert state(host) == "unknown"


def test_whose_environment_may_not_be_read_is_not_dead(host):
    host.command(20, 1, None)
    assert state(host) == "unknown"


@pytest.mark.parametrize(
    ("out", "err", "found"),
    [
        ("no reader", "no reader", "abandoned"),
        ("no reader", "neutral", "abandoned"),
        ("neutral", "neutral", "unknown"),
        ("reader", "no reader", "unknown"),
        ("no reader", "reader", "unknown"),
        ("unreadable", "no reader", "unknown"),
        ("no reader", "unreadable", "unknown"),
    ],
)
def test_no_reader_may_be_left(host, out, err, found):
    host.command(20, 1)
    host.readers = {(20, 1): out, (20, 2): err}
    assert state(host) == found


def test_a_command_that_was_sent_again_is_running_as_long_as_one_of_its_roots_is(host):
    host.command(20, 1)
    host.command(30, 3)
    assert state(host) == "running"


def test_where_a_supervisor_stands_it_decides(host):
    host.command(20, 1)
    host.add(25, 20, [TITLE % (RUN, LEASE)], cookie(20, 3))
    assert state(host) == "running"
    host.add(
        25, 20, ["treekill: ending the tree of run %s, lease %s" % (RUN, LEASE)], cookie(20, 3)
    )
    assert state(host) == "ending"


@pytest.mark.parametrize(
    ("readers", "environment", "expected"),
    [
        (("no reader", "no reader"), cookie(20, 3), "abandoned"),
        (("reader", "reader"), cookie(20, 3), "running"),
        (("neutral", "neutral"), cookie(20, 3), "running"),
        (("no reader", "no reader"), cookie(20, 3, more="TREEKILL_KEEP=1\0"), "running"),
    ],
)
def test_a_supervisor_that_stands_still_cannot_see_that_its_channel_is_broken(
    host, readers, environment, expected
):
    """A kill pass may have stopped it, and died."""
    host.command(20, 1)
    host.add(25, 20, [TITLE % (RUN, LEASE)], environment).state = "T"
    host.readers.update({(25, 1): readers[0], (25, 2): readers[1]})
    assert state(host) == expected
    host.lines[25][0].state = "S"
    assert state(host) == "running"


def test_the_supervisor_of_another_command_decides_nothing(host):
    host.command(20, 1)
    host.add(25, 20, [TITLE % (RUN, "00000000")], cookie(20, 3))
    assert state(host) == "abandoned"


def test_a_command_that_may_lose_its_connection_is_kept(host):
    host.command(20, 1)
    host.add(25, 20, ["worker"], cookie(20, 3, more="TREEKILL_KEEP=1\0"))
    assert state(host) == "kept"


def test_that_is_also_known_by_the_root_alone(host):
    host.add(
        20,
        1,
        ["/bin/sh", "-c", ("export TREEKILL=%s/%s/$$/$PPID TREEKILL_KEEP=1; work") % (RUN, LEASE)],
        b"SSH_CONNECTION=x\0",
    )
    assert state(host) == "kept"


def test_without_a_root_it_was_left_or_is_a_job(host):
    host.add(25, 1, ["daemon"], cookie(20, 3))
    assert state(host) == "left"
    host.add(26, 1, [TITLE % (RUN, LEASE)], cookie(20, 3))
    assert state(host) == "job"


def test_a_forged_cookie_makes_no_command_dead(host):
    """The cookie names a process as root that does not claim to be one."""
    host.add(20, 1, ["mysqld"], b"SSH_CONNECTION=x\0")
    host.add(21, 20, ["worker"], cookie(20, 3))
    snapshot = Snapshot(host)
    [tree] = [tree for tree in command_trees(snapshot, host.OWN) if tree.run == RUN]
    assert [process.id.pid for process in tree.members] == [21]
    assert judge(tree, snapshot, host.reader_of)[0] == "left"


def test_the_task_is_what_the_supervisor_tells(host):
    host.command(20, 3)
    host.add(25, 20, [TITLE % (RUN, LEASE)], cookie(20, 3))
    [tree] = [tree for tree in command_trees(Snapshot(host), host.OWN) if tree.run == RUN]
    assert (tree.task, tree.secret) == ("A_task", False)


def test_command_lines_of_a_task_that_has_no_name_are_secret(host):
    host.command(20, 3)
    host.add(25, 20, [(TITLE % (RUN, LEASE)).replace("A_task", "")], cookie(20, 3))
    [tree] = [tree for tree in command_trees(Snapshot(host), host.OWN) if tree.run == RUN]
    assert (tree.task, tree.secret) == (None, True)


def test_each_command_is_told_by_itself_and_we_are_not(host):
    host.command(20, 3)
    host.command(30, 1, lease="00000000")
    host.command(40, 1, run="f" * 16)
    trees = command_trees(Snapshot(host), host.OWN)
    assert [(tree.run, tree.lease, [one.id.pid for one in tree.members]) for tree in trees] == [
        (RUN, LEASE, [20, 21]),
        (RUN, "00000000", [30, 31]),
        ("f" * 16, LEASE, [40, 41]),
    ]


def test_a_command_without_a_cookie_below_the_root_is_found_beside_others(host):
    host.command(20, 3)
    host.add(30, 3, ["/bin/sh", "-c", SCRIPT % (RUN, "00000000")])
    host.add(31, 30, ["env", "-i"])
    assert [tree.lease for tree in command_trees(Snapshot(host), host.OWN)] == [LEASE, "00000000"]


def test_the_runs_that_we_work_for_are_known_by_ourselves_and_by_our_ancestors(host):
    host.add(3, 2, ["sudo", "sh", "-c", SCRIPT % ("a" * 16, LEASE)], cookie(5, 4, "b" * 16))
    own = ("TREEKILL=%s/%s/1/1" % ("c" * 16, LEASE)).encode()
    assert runs_above(Snapshot(host), host.OWN, own) == {OTHER, "a" * 16, "b" * 16, "c" * 16}
    assert runs_above(Snapshot(host), host.OWN, b"TREEKILL=") == {OTHER, "a" * 16, "b" * 16}


def test_each_process_names_one_command_however_many_cookies_it_has(host):
    """Any user can write thousands into an environment or a command line.

    Each command is looked for.
    """
    many = ["export TREEKILL=%s/%08x/$$/$PPID;" % (RUN, number) for number in range(2000)]
    host.add(
        20, 1, ["sleep"], b"".join(cookie(20, 1, lease="%08x" % number) for number in range(2000))
    )
    host.add(21, 1, ["sh", "-c", " ".join(many[::-1])])
    assert [tree.lease for tree in command_trees(Snapshot(host), host.OWN) if tree.run == RUN] == [
        "00000000",
        "000007cf",
    ]


@pytest.mark.parametrize("form", ["cookie", "spare", "claim"])
def test_the_processes_of_other_commands_are_not_read_for_each_command(host, monkeypatch, form):
    asked = []
    named_root, claimed_by = CookieMatch.named_root, CookieMatch.claimed_by
    monkeypatch.setattr(
        CookieMatch,
        "named_root",
        lambda self, environment: asked.append(0) or named_root(self, environment),
    )
    monkeypatch.setattr(
        CookieMatch,
        "claimed_by",
        lambda self, arguments: asked.append(0) or claimed_by(self, arguments),
    )
    for number in range(1000):
        lease = "%08x" % number
        if form == "claim":
            host.add(100 + number, 1, ["sh", "-c", SCRIPT % (RUN, lease)])
        else:
            host.add(100 + number, 1, ["sleep"], cookie(100 + number, 1, lease=lease))
        if form == "spare":
            host.add(2000 + number, 1, ["sleep"], b"TREEKILL=spare\0")
    assert (
        len([tree for tree in command_trees(Snapshot(host), host.OWN) if tree.run == RUN]) == 1000
    )
    assert len(asked) < 20 * 1000


def test_a_spare_above_what_has_the_cookie_takes_it_out(host):
    """The control: without the word it is found."""
    host.command(20, 3)
    for environment, found in ((b"TREEKILL=spare\0", False), (b"A=1\0", True)):
        host.add(30, 20, ["sleep"], environment)
        host.add(31, 30, ["sleep"], cookie(20, 3))
        [tree] = [tree for tree in command_trees(Snapshot(host), host.OWN) if tree.run == RUN]
        assert (31 in [process.id.pid for process in tree.members]) == found
