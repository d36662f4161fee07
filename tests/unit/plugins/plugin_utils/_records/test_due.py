# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reminder of a sweep: the next guarded run gives it once, and no other line follows."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._records import due, journal
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    RemindedRecord,
)

from ..playbook_runs import start_playbook
from .test_journal import HEAD

RUN = "0123456789abcdef"

OPEN = [{"opened": "00000001", "host": "web1"}, {"over": "interrupted", "at": "now"}]


def lines_of(records, run=RUN):
    return "".join(json.dumps(record) + "\n" for record in [HEAD.to_line(run), *records])


def write(directory, records, run=RUN):
    (directory / f"{run}.jsonl").write_text(lines_of(records, run))


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        (OPEN, True),
        ([*OPEN, {"swept": "00000001", "host": "web1"}], False),
        ([OPEN[0], {"done": "00000001"}, OPEN[1]], False),
        ([{"hosts": ["web1"]}, {"over": "finished", "at": "now"}], False),
        ([*OPEN, {"reminded": "now"}], False),
    ],
)
def test_a_sweep_is_due_while_a_command_is_open_and_no_run_has_said_so(tmp_path, records, wanted):
    write(tmp_path, records)
    assert [entry.run for entry in due.due(str(tmp_path))] == [RUN] * wanted


def test_the_reminder_names_hosts_and_the_command_in_one_line_of_some_length(tmp_path):
    for number in range(30):
        run = f"{number:016x}"
        leases = [{"opened": f"{lease:08x}", "host": f"web{lease}"} for lease in range(200)]
        write(tmp_path, [*leases, OPEN[1]], run)
    text = due.reminder(due.due(str(tmp_path)))
    assert "30 earlier runs" in text
    assert "and 27 more" in text
    assert "web[0-199] (200 hosts)" in text
    assert text.isprintable()
    assert len(text) < 700
    assert text.endswith("--become -e sweep_journal=only")


@pytest.mark.parametrize(
    ("addresses", "commands"),
    [
        (("10.0.0.1", "10.0.0.2"), ["-i /new", "-i /old"]),
        (("10.0.0.1", "10.0.0.1"), ["-i /new -i /old"]),
        ((None, "10.0.0.1"), ["-i /new -i /old"]),
    ],
    ids=["two hosts of one name", "one host", "an old line"],
)
def test_two_hosts_of_one_name_need_a_command_for_each_inventory(tmp_path, addresses, commands):
    for number, (address, source) in enumerate(zip(addresses, ("/old", "/new"), strict=True)):
        run = f"{number:016x}"
        head = dataclasses.replace(HEAD, began=f"2026-01-0{number + 1}", inventory=(source,))
        opened = {**OPEN[0], **({"address": address} if address else {})}
        lines = [head.to_line(run), opened, OPEN[1]]
        (tmp_path / f"{run}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    dummy, dummy, text = due.reminder(due.due(str(tmp_path))).partition("To end them, run: ")
    assert text.split("; ") == [
        f"ansible-playbook treekill.remote.sweep {words} --become -e sweep_journal=only"
        for words in commands
    ]


def test_what_was_reminded_stays_noted_when_the_file_is_written_anew(tmp_path):
    write(tmp_path, OPEN)
    due.note(str(tmp_path), [RUN, "f" * 16], RemindedRecord("then"))
    (entry,) = journal.entries(str(tmp_path))
    assert entry.reminded == "then"
    assert entry.open_hosts() == {"web1": ["00000001"]}


def noted(file):
    """Return the content of the file when the reminder is noted there, by the run's writer."""
    deadline = time.monotonic() + 60
    while '"reminded"' not in file.read_text():
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.05)
    return file.read_text()


FILE = f".ansible/treekill/journal/{RUN}.jsonl"
PAUSE = {"ansible.builtin.raw": "sleep 1"}


def reminding_run():
    """Return what a run has said that reminds of the open command, and its journal after that.

    A run that ends at once may have ended before its guardian knows what is due.
    """
    for dummy in range(5):
        with start_playbook([PAUSE], files={FILE: lines_of(OPEN)}) as play:
            said = " ".join(play.finished().split())
            assert play.process.returncode == 0, said
            if "a sweep is due" in said:
                return said, noted(play.directory / FILE)
    raise AssertionError(f"five runs did not remind\n{said}")


def test_a_later_run_reminds_and_no_run_after_it_does():
    said, written = reminding_run()
    assert said.count("a sweep is due") == 1, said
    with start_playbook([PAUSE], files={FILE: written}) as play:
        said = " ".join(play.finished().split())
        assert "a sweep is due" not in said, said


@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["sweep", "check"])
def test_a_run_that_sweeps_reminds_of_nothing_and_leaves_it_to_a_later_run(arguments):
    """The sweep is a task of the user's own playbook. Its host is not the one in the journal."""
    reminding_run()  # the control
    sweep = {"treekill.remote.run_sweep": {"journal": "only"}}
    for dummy in range(3):
        with start_playbook(
            [PAUSE, sweep], files={FILE: lines_of(OPEN)}, arguments=arguments
        ) as play:
            said = " ".join(play.finished().split())
            assert play.process.returncode == 0, said
            assert "a sweep is due" not in said, said
            assert '"reminded"' not in (play.directory / FILE).read_text()
