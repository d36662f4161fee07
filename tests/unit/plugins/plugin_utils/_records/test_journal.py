# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal: what a guardian has written is what a sweep reads.

It also holds for guardians that were killed, for full disks, and for files of others.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import Outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._records import (
    journal,
    journal_entry,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal import (
    entries,
    mark_swept,
    path_of,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    ClosedRecord,
    Controller,
    DetachedRecord,
    DoneRecord,
    HostsRecord,
    InterruptedRecord,
    OpenedRecord,
    OverRecord,
    RunHead,
    SweptRecord,
    UnknownOutcome,
    line_of,
    read_record,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_writer import (
    Bounds,
    JournalWriter,
    prune,
)
from hypothesis import given
from hypothesis import strategies as st

from ..report_factories import HOSTILE
from ..run_factory import PLACES

RUN = "00000000000000aa"

HEAD = RunHead(
    began="2026-01-01T00:00:00Z",
    user="deploy",
    controller=Controller.here(),
    pid=4711,
    program="ansible-playbook",
    playbooks=("/srv/site.yml",),
    inventory=("/srv/hosts",),
)


def writer(directory: Path, run: str = RUN, **head) -> JournalWriter:
    made = JournalWriter(str(directory), run, dataclasses.replace(HEAD, **head))
    made.make_file()
    return made


def let_go(made: JournalWriter) -> None:
    """Do what the end of its process does."""
    os.close(made._lock)
    made._lock = None


def only(directory: Path) -> journal_entry.JournalEntry:
    (entry,) = entries(str(directory))
    return entry


def open_hosts(directory: Path) -> dict[str, dict[str, list[str]]]:
    """Return where trees of runs may be alive: run id, host, ids of the leases."""
    found = {entry.run: entry.open_hosts() for entry in entries(str(directory))}
    return {run: hosts for run, hosts in found.items() if hosts}


# What is written is what is read.

LEASES = st.sampled_from(["00000001", "00000002", "00000003", "00000004"])
STEPS = st.lists(
    st.one_of(
        st.builds(OpenedRecord, LEASES, st.text(max_size=5), st.text(max_size=5)),
        st.builds(DoneRecord, LEASES),
        st.builds(
            ClosedRecord,
            LEASES,
            st.sampled_from(Outcome),
            st.just(3),
            st.integers(0, 1),
            st.sampled_from(["", "then"]),
        ),
        st.just(InterruptedRecord("SIGINT", "then")),
    ),
    max_size=30,
)


@given(STEPS, st.integers(0, 30), st.booleans())
def test_the_file_tells_what_the_guardian_knows_also_written_anew(
    tmp_path_factory, steps, at, whole
):
    directory = tmp_path_factory.mktemp("journal")
    made = writer(directory)
    for index, step in enumerate(steps):
        made.write_line(step)
        if index == at:
            made._rewrite()
    if whole:
        made.write_last_line(OverRecord("interrupted", "now"))
    let_go(made)
    entry = only(directory)
    expected, hosts = {}, set()
    for step in steps:
        if isinstance(step, OpenedRecord):
            expected[step.lease] = (step.host, None, 0)
            hosts.add(step.host)
        elif isinstance(step, DoneRecord):
            expected.pop(step.lease, None)
        elif isinstance(step, ClosedRecord) and step.lease in expected:
            expected[step.lease] = (expected[step.lease][0], step.outcome, step.survivors)
    assert {
        lease.lease: (lease.host, lease.outcome, lease.survivors) for lease in entry.leases.values()
    } == expected
    assert entry.hosts == hosts
    assert entry.state == ("interrupted" if whole else "dead")
    opened = {
        lease: host
        for lease, (host, outcome, alive) in expected.items()
        if outcome in (None, Outcome.UNREACHABLE, Outcome.FAILED) or alive
    }
    assert {
        lease: host for host, leases in entry.open_hosts().items() for lease in leases
    } == opened


RECORDS = st.one_of(
    st.builds(HostsRecord, st.lists(HOSTILE).map(tuple)),
    st.builds(OpenedRecord, LEASES, HOSTILE, HOSTILE),
    st.builds(DoneRecord, LEASES),
    st.builds(DetachedRecord, LEASES),
    st.builds(
        ClosedRecord,
        LEASES,
        st.sampled_from(Outcome) | st.just(UnknownOutcome("of a later version")),
        st.integers(0),
        st.integers(0),
        HOSTILE,
    ),
    st.builds(SweptRecord, LEASES, HOSTILE),
    st.builds(InterruptedRecord, HOSTILE, HOSTILE),
    st.builds(OverRecord, st.sampled_from(["finished", "interrupted"]), HOSTILE),
)


@given(RECORDS)
def test_a_line_is_read_as_it_was_written(record):
    assert read_record(json.loads(journal.line(record))) == record
    assert read_record({**line_of(record), "of a later version": 1}) == record


@pytest.mark.parametrize("line", [{}, {"version": 1}, {"later": 1}, {"over": "later", "at": ""}])
def test_a_line_that_is_not_known_says_nothing(line):
    assert read_record(line) is None


@pytest.mark.parametrize(
    "line",
    [
        {"hosts": 1},
        {"opened": "00000001"},
        {"settled": "00000001"},
        {"settled": "1", "outcome": "left", "ended": "x"},
        {"over": "finished"},
    ],
)
def test_a_line_that_no_guardian_wrote_is_refused(line):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_record(line)


#: As version 1.0.0 writes it, before the file was rewritten and after that.
FIRST_LINE = (
    '{"version":1,"run":"00000000000000aa","began":"2026-01-01T00:00:00Z","user":"deploy","controller":{"host":"ctl","boot":"b"},"pid":4711,'
    '"program":"ansible-playbook","playbooks":["/srv/site.yml"],"inventory":["/srv/hosts"]}\n'
)
OLD_JOURNAL = """{"opened":"00000001","host":"web1"}
{"opened":"00000002","host":"web2"}
{"opened":"00000003","host":"web3"}
{"opened":"00000004","host":"web4"}
{"opened":"00000005","host":"web5"}
{"opened":"00000006","host":"web6"}
{"opened":"00000007","host":"web7"}
{"opened":"00000008","host":"web8"}
{"done":"00000001"}
{"detached":"00000008"}
{"interrupted":"SIGINT","at":"2026-01-01T00:00:01Z"}
{"settled":"00000002","outcome":"confirmed","ended":2,"survivors":1,"at":"2026-01-01T00:00:02Z"}
{"settled":"00000003","outcome":"unreachable","ended":3,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"settled":"00000004","outcome":"failed","ended":4,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"settled":"00000005","outcome":"left","ended":5,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"settled":"00000006","outcome":"not begun","ended":6,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"settled":"00000007","outcome":"broken off","ended":7,"survivors":0}

{"swept":"00000003","host":"web3"}
"""
WRITTEN_ANEW = """{"hosts":["web1","web2","web3","web4","web5","web6","web7","web8"]}
{"interrupted":"SIGINT","at":"2026-01-01T00:00:01Z"}
{"opened":"00000002","host":"web2"}
{"settled":"00000002","outcome":"confirmed","ended":2,"survivors":1,"at":"2026-01-01T00:00:02Z"}
{"opened":"00000003","host":"web3"}
{"settled":"00000003","outcome":"unreachable","ended":3,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"swept":"00000003","host":"web3"}
{"opened":"00000004","host":"web4"}
{"settled":"00000004","outcome":"failed","ended":4,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"opened":"00000005","host":"web5"}
{"settled":"00000005","outcome":"left","ended":5,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"opened":"00000006","host":"web6"}
{"settled":"00000006","outcome":"not begun","ended":6,"survivors":0,"at":"2026-01-01T00:00:02Z"}
{"opened":"00000007","host":"web7"}
{"settled":"00000007","outcome":"broken off","ended":7,"survivors":0}
{"opened":"00000008","host":"web8"}
{"detached":"00000008"}
"""


def written_by_another_version(directory: Path, text: str) -> journal_entry.JournalEntry:
    path = Path(path_of(str(directory), RUN))
    path.write_text(FIRST_LINE + text)
    path.chmod(0o600)
    return only(directory)


@pytest.mark.parametrize("text", [OLD_JOURNAL, WRITTEN_ANEW], ids=["appended", "anew"])
def test_the_journal_of_an_earlier_version_is_read(tmp_path, text):
    entry = written_by_another_version(tmp_path, text)
    assert (
        entry.head.user,
        entry.head.controller,
        entry.head.pid,
        entry.cause,
        entry.interrupted,
    ) == (
        "deploy",
        Controller("ctl", "b"),
        4711,
        "SIGINT",
        "2026-01-01T00:00:01Z",
    )
    assert {
        lease.lease[-1]: (lease.outcome, lease.ended, lease.survivors, lease.closed[-3:])
        for lease in entry.leases.values()
    } == {
        "2": (Outcome.CONFIRMED, 2, 1, "02Z"),
        "3": (Outcome.UNREACHABLE, 3, 0, "02Z"),
        "4": (Outcome.FAILED, 4, 0, "02Z"),
        "5": (Outcome.LEFT, 5, 0, "02Z"),
        "6": (Outcome.NOT_BEGUN, 6, 0, "02Z"),
        "7": (Outcome.BROKEN_OFF, 7, 0, ""),
        "8": (None, 0, 0, ""),
    }
    entry.state = "dead"
    assert entry.open_hosts() == {"web2": ["00000002"], "web4": ["00000004"], "web8": ["00000008"]}


def test_this_version_writes_each_line_as_an_earlier_one_does(tmp_path):
    entry = written_by_another_version(tmp_path, OLD_JOURNAL)
    assert journal.first_line(RUN, RunHead.from_line(json.loads(FIRST_LINE))).decode() == FIRST_LINE
    lines = [line for line in OLD_JOURNAL.splitlines(keepends=True) if line.strip()]
    assert [journal.line(read_record(json.loads(line))).decode() for line in lines] == lines  # type: ignore[arg-type]
    assert b"".join(map(journal.line, journal_entry.records_of(entry))).decode() == WRITTEN_ANEW


def test_an_outcome_of_a_later_version_is_kept_and_its_lease_is_not_taken_for_open(tmp_path):
    text = (
        '{"opened":"00000001","host":"web1"}\n'
        '{"settled":"00000001","outcome":"later","ended":1,"survivors":%d}\n'
    )
    entry = written_by_another_version(tmp_path, text % 0)
    assert [(lease.outcome, lease.is_open) for lease in entry.leases.values()] == [
        (UnknownOutcome("later"), False)
    ]
    assert text % 0 in b"".join(map(journal.line, journal_entry.records_of(entry))).decode()
    assert [
        lease.is_open for lease in written_by_another_version(tmp_path, text % 1).leases.values()
    ] == [True]


def test_the_moments_of_a_run_are_kept_when_it_is_over(tmp_path):
    made = writer(tmp_path)
    made.write_line(OpenedRecord("00000001", "web1"))
    made.write_line(InterruptedRecord("SIGINT", "2026-01-01T00:00:01Z"))
    made.write_line(ClosedRecord("00000001", Outcome.CONFIRMED, 3, 0, "2026-01-01T00:00:02Z"))
    made.write_last_line(OverRecord("interrupted", "2026-01-01T00:00:03Z"))
    let_go(made)
    written = [
        json.loads(line) for line in Path(path_of(str(tmp_path), RUN)).read_text().splitlines()
    ]
    moments = {
        name: record["at"]
        for record in written
        for name in ("interrupted", "settled", "over")
        if name in record
    }
    assert moments == {
        "interrupted": "2026-01-01T00:00:01Z",
        "settled": "2026-01-01T00:00:02Z",
        "over": "2026-01-01T00:00:03Z",
    }


def test_the_user_of_a_run_is_told(tmp_path):
    writer(tmp_path)
    entry = only(tmp_path)
    assert (
        entry.run,
        entry.head.user,
        entry.head.program,
        entry.head.playbooks,
        entry.head.inventory,
    ) == (
        RUN,
        "deploy",
        "ansible-playbook",
        ("/srv/site.yml",),
        ("/srv/hosts",),
    )
    assert (entry.head.pid, entry.head.began, entry.head.controller) == (
        4711,
        HEAD.began,
        Controller.here(),
    )


def test_it_is_for_its_owner_alone(tmp_path):
    directory = tmp_path / "a" / "journal"
    made = writer(directory)
    made.write_line(OpenedRecord("00000001", "web1"))
    made._rewrite()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_a_journal_that_is_not_there_knows_no_runs(tmp_path):
    assert entries(str(tmp_path / "none")) == []


# Which runs are over.


def test_a_run_of_which_a_process_lives_has_no_open_hosts(tmp_path):
    made = writer(tmp_path)
    made.write_line(OpenedRecord("00000001", "web1"))
    assert only(tmp_path).state == "running"
    assert open_hosts(tmp_path) == {}
    let_go(made)
    assert open_hosts(tmp_path) == {RUN: {"web1": ["00000001"]}}


CHILD = """
import sys, time
from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal_records
from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal_writer
import json
journal_writer._GROWTH_BYTES = int(sys.argv[6])
head = journal_records.RunHead.from_message(json.loads(sys.argv[3]))
made = journal_writer.JournalWriter(sys.argv[1], sys.argv[2], head)
made.make_file()
first = int(sys.argv[5])
for number in range(first, first + int(sys.argv[4])):
    made.write_line(journal_records.OpenedRecord("%08x" % number, "web%d" % number))
print("ready", flush=True)
time.sleep(600)
"""


def child(
    directory: Path, run: str, leases: int, first: int = 0, growth: int = 1 << 20
) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": PLACES}
    words = [
        str(directory),
        run,
        json.dumps(HEAD.to_message()),
        str(leases),
        str(first),
        str(growth),
    ]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE, text=True, env=environ
    )


def test_runs_beside_each_other_do_not_disturb_each_other_and_one_that_is_killed_is_dead(tmp_path):
    runs = [f"{number:016x}" for number in range(4)]
    children = [child(tmp_path, run, 200) for run in runs]
    try:
        for process in children:
            assert process.stdout.readline() == "ready\n"
        prune(str(tmp_path), Bounds(0, 0), time.time() + 10)
        assert {
            entry.run: (entry.state, len(entry.leases)) for entry in entries(str(tmp_path))
        } == dict.fromkeys(runs, ("running", 200))
    finally:
        for process in children:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
    assert {entry.run: entry.state for entry in entries(str(tmp_path))} == dict.fromkeys(
        runs, "dead"
    )
    assert {run: len(hosts) for run, hosts in open_hosts(tmp_path).items()} == dict.fromkeys(
        runs, 200
    )


@pytest.mark.parametrize(
    ("host", "boot", "written", "state"),
    [
        (Controller.here().host, "another boot", 1.0, "dead"),
        (Controller.here().host, "another boot", None, "elsewhere"),
        ("another machine", "another boot", 1.0, "elsewhere"),
    ],
    ids=["before this boot", "after this boot, by another machine of that name", "another machine"],
)
def test_only_what_was_here_is_known_to_be_dead(tmp_path, host, boot, written, state):
    made = writer(tmp_path, controller=Controller(host, boot))
    made.write_line(OpenedRecord("00000001", "web1"))
    let_go(made)
    if written is not None:
        os.utime(path_of(str(tmp_path), RUN), (written, written))
    assert only(tmp_path).state == state
    assert bool(open_hosts(tmp_path)) == (state == "dead")


def test_a_lease_that_a_lost_guardian_held_stays_open_though_the_run_came_to_its_own_end(tmp_path):
    made = writer(tmp_path)
    made.write_line(OpenedRecord("00000001", "web1"))
    made.write_line(OpenedRecord("00000002", "web2"))
    made.write_line(ClosedRecord("00000002", Outcome.UNREACHABLE, 0, 0, ""))
    made.write_line(OpenedRecord("00000003", "web3"))
    made.write_line(DoneRecord("00000003"))
    made.write_last_line(OverRecord("finished", "now"))
    let_go(made)
    assert only(tmp_path).open_hosts() == {"web1": ["00000001"], "web2": ["00000002"]}


@pytest.mark.parametrize(
    ("over", "hosts"), [("finished", {}), ("interrupted", {"web1": ["00000001"]})]
)
def test_a_job_that_a_task_left_is_on_its_own_where_its_run_came_to_its_own_end(
    tmp_path, over, hosts
):
    made = writer(tmp_path)
    made.write_line(OpenedRecord("00000001", "web1"))
    made.write_line(DetachedRecord("00000001"))
    made._rewrite()
    made.write_last_line(OverRecord(over, "now"))
    let_go(made)
    assert only(tmp_path).open_hosts() == hosts


def test_the_next_guardian_of_a_run_goes_on_where_the_last_one_was(tmp_path):
    writer(tmp_path).write_line(OpenedRecord("00000001", "web1"))
    second = writer(tmp_path)
    second.continue_file()
    second.write_line(DoneRecord("00000001"))
    second.write_line(OpenedRecord("00000002", "web2"))
    second._rewrite()
    assert list(only(tmp_path).leases) == ["00000002"]


def test_what_was_swept_is_not_open_any_more(tmp_path):
    made = writer(tmp_path)
    for number in (1, 2):
        made.write_line(OpenedRecord(f"0000000{number}", f"web{number}"))
    let_go(made)
    mark_swept(str(tmp_path), RUN, "web1", ["00000001"])
    assert open_hosts(tmp_path) == {RUN: {"web2": ["00000002"]}}
    with pytest.raises(ValueError, match="not a run id"):
        mark_swept(str(tmp_path), "../../etc/passwd", "web1", [])


# What can't be trusted, or is not whole.


def test_half_a_line_says_nothing_and_hides_no_other(tmp_path):
    made = writer(tmp_path)
    made.write_line(OpenedRecord("00000001", "web1"))
    with open(path_of(str(tmp_path), RUN), "a") as file:
        file.write('{"done":"000')
    mark_swept(str(tmp_path), RUN, "web1", ["00000001"])
    assert only(tmp_path).leases["00000001"].swept


@given(st.binary(max_size=200))
def test_whatever_stands_in_a_file_is_no_error(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("journal")
    writer(directory)
    with open(path_of(str(directory), RUN), "ab") as file:
        file.write(b"\n" + content)
    Path(path_of(str(directory), "00000000000000bb")).write_bytes(content)
    assert [entry.run for entry in entries(str(directory))] == [RUN]


def test_a_file_that_others_may_write_a_link_and_one_under_a_wrong_name_are_passed_over(tmp_path):
    made = writer(tmp_path)
    os.link(path_of(str(tmp_path), RUN), path_of(str(tmp_path), "00000000000000bb"))
    os.symlink(path_of(str(tmp_path), RUN), path_of(str(tmp_path), "00000000000000cc"))
    os.mkfifo(path_of(str(tmp_path), "00000000000000dd"))
    assert len(entries(str(tmp_path))) == 1
    os.chmod(path_of(str(tmp_path), RUN), 0o622)
    assert entries(str(tmp_path)) == []
    let_go(made)


# A full disk.


def test_what_could_not_be_written_is_written_later_if_there_is_room(tmp_path):
    made = writer(tmp_path)
    made.write_line(OpenedRecord("00000001", "web1"))
    made.write_line(OpenedRecord("00000002", "web2"))
    path = path_of(str(tmp_path), RUN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel takes half of the line, as on a disk that gets full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path) + 9, before[1]))
    try:
        for record in (
            DoneRecord("00000001"),
            OpenedRecord("00000003", "web3"),
            OpenedRecord("00000004", "web4"),
            DoneRecord("00000004"),
        ):
            with pytest.raises(OSError, match="No space left"):
                made.write_line(record)
        assert list(only(tmp_path).leases) == ["00000001", "00000002"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    made.write_line(OpenedRecord("00000005", "web5"))
    assert list(only(tmp_path).leases) == ["00000002", "00000003", "00000005"]
    assert only(tmp_path).hosts == {f"web{number}" for number in range(1, 6)}


def test_a_file_that_was_removed_is_written_again(tmp_path):
    made = writer(tmp_path)
    made.write_line(OpenedRecord("00000001", "web1"))
    os.unlink(path_of(str(tmp_path), RUN))
    made.write_line(OpenedRecord("00000002", "web2"))
    assert list(only(tmp_path).leases) == ["00000001", "00000002"]


# Two guardians of one run: the socket of the first one was removed.


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.one_of(STEPS.map(lambda steps: steps[:1]), st.just("anew"))
        ),
        max_size=30,
    )
)
def test_what_either_of_two_guardians_writes_stays_also_where_the_other_one_writes_the_file_anew(
    tmp_path_factory, turns
):
    directory = tmp_path_factory.mktemp("journal")
    alone, writers = tmp_path_factory.mktemp("journal"), [writer(directory)]
    reference = writer(alone)
    writers.append(writer(directory))
    writers[1].continue_file()
    for number, step in turns:
        if step == "anew":
            writers[number]._rewrite()
        for record in step if step != "anew" else ():
            writers[number].write_line(record)
            reference.write_line(record)
    for made in (*writers, reference):
        let_go(made)
    assert (only(directory).leases, only(directory).hosts, only(directory).cause) == (
        only(alone).leases,
        only(alone).hosts,
        only(alone).cause,
    )


def test_the_end_of_one_of_two_guardians_is_not_the_end_of_the_run(tmp_path):
    first = writer(tmp_path)
    first.write_line(OpenedRecord("00000001", "web1"))
    second = writer(tmp_path)
    second.continue_file()
    second.write_line(OpenedRecord("00000002", "web2"))
    first.write_line(DoneRecord("00000001"))
    first.write_last_line(OverRecord("finished", "now"))
    let_go(first)
    assert only(tmp_path).state == "running"
    second.write_last_line(OverRecord("finished", "now"))
    let_go(second)
    assert (only(tmp_path).state, only(tmp_path).open_hosts()) == (
        "finished",
        {"web2": ["00000002"]},
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"{RUN}.jsonl"]


def test_two_guardians_that_write_at_the_same_time_lose_nothing(tmp_path):
    writer(tmp_path)
    children = [child(tmp_path, RUN, 300, first=first, growth=2000) for first in (0, 1000)]
    try:
        for process in children:
            assert process.stdout.readline() == "ready\n"
        assert sorted(only(tmp_path).leases) == [
            f"{number:08x}" for first in (0, 1000) for number in range(first, first + 300)
        ]
    finally:
        for process in children:
            process.kill()
            process.wait()
            process.stdout.close()


# Bounds.


def test_a_long_run_does_not_make_a_long_file(tmp_path):
    made = writer(tmp_path)
    for number in range(20_000):
        made.write_line(OpenedRecord(f"{number:08x}", "web1"))
        made.write_line(DoneRecord(f"{number:08x}"))
    made.write_line(OpenedRecord("ffffffff", "web1"))
    assert os.path.getsize(path_of(str(tmp_path), RUN)) < 300_000
    assert list(only(tmp_path).leases) == ["ffffffff"]
    made.write_last_line(OverRecord("finished", "now"))
    assert os.path.getsize(path_of(str(tmp_path), RUN)) < 1000
    let_go(made)
    assert [path.name for path in tmp_path.iterdir()] == [f"{RUN}.jsonl"]


def old_runs(directory: Path, number: int) -> list[str]:
    """Runs that are over, one a day. Of every second one something is open."""
    runs = [f"{index:016x}" for index in range(number)]
    for index, run in enumerate(runs):
        made = writer(directory, run, began=f"2026-01-{index + 1:02}")
        if index % 2:
            made.write_line(OpenedRecord("00000001", "web1"))
        made.write_last_line(OverRecord("interrupted", "now"))
        let_go(made)
        os.utime(path_of(str(directory), run), (index * 86400, index * 86400))
    return runs


def left(directory: Path) -> list[str]:
    return sorted(entry.run for entry in entries(str(directory)))


def test_what_is_too_old_is_removed(tmp_path):
    runs = old_runs(tmp_path, 6)
    prune(str(tmp_path), Bounds(days=2.5, size=1 << 30), now=5 * 86400)
    assert left(tmp_path) == runs[3:]


def test_of_too_much_the_oldest_is_removed_and_what_needs_a_sweep_last(tmp_path):
    runs = old_runs(tmp_path, 6)
    prune(str(tmp_path), Bounds(days=100, size=4 * 4096), now=5 * 86400)
    assert left(tmp_path) == [runs[1], *runs[3:]]
    prune(str(tmp_path), Bounds(days=100, size=2 * 4096), now=5 * 86400)
    assert left(tmp_path) == [runs[3], runs[5]]
