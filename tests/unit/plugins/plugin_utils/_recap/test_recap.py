# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recap: one honest line for each thing, whatever names hosts and processes have."""

from __future__ import annotations

import re
import shlex

import pytest
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.command_line import (
    OUTLIVES_HANG_UP,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import UnguardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Screen
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.recap import Recap
from hypothesis import given
from hypothesis import strategies as st

from ..report_factories import (
    HOSTILE,
    RESULTS,
    make_process,
    make_report,
    make_result,
    make_run_report,
)


@pytest.fixture(autouse=True)
def _command_line(monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(inventory=("/etc/my hosts", "more.yml")))


def recap(results, cause="SIGINT", interrupted=True, unguarded=(), tasks=()) -> list[str]:
    return [
        line.text
        for line in Recap(
            make_run_report(results, cause, unguarded), interrupted, tasks=tasks
        ).lines()
    ]


@given(RESULTS, st.booleans())
def test_every_line_is_one_line_of_printable_characters(results, interrupted):
    assert [
        line for line in recap(results, interrupted=interrupted) if not line.isprintable()
    ] == []


@given(HOSTILE)
def test_whatever_a_host_writes_for_a_signal_or_a_role_no_line_has_control_characters(text):
    row = make_process(2, user=text, command=text, role=text, ended=text, reason=text)
    lines = recap(
        [
            make_result(
                report=make_report(
                    gone=[row], survivors=[{**row, "ended": None}], spared=[row], method=text
                )
            )
        ]
    )
    assert [line for line in lines if not line.isprintable()] == []


@given(RESULTS)
def test_every_host_has_its_lines_and_every_survivor_is_named(results):
    lines = recap(results)
    for one in results:
        assert any(re.match(rf"{re.escape(one['host'])} +: ", line) for line in lines)
        for survivor in (one["report"] or {"survivors": []})["survivors"]:
            assert any(f"survivor {survivor['pid']} (" in line for line in lines)


@pytest.mark.parametrize(
    ("results", "begins"),
    [
        (
            [make_result(report=make_report(survivors=[make_process(2)]))],
            "To end what is left, run: ",
        ),
        ([make_result(outcome="failed")], "To end what is left, run: "),
        (
            [
                make_result(report=make_report(survivors=[make_process(2)])),
                make_result("web2", outcome="unreachable"),
            ],
            "To end what is left when the hosts are reachable, run: ",
        ),
        (
            [make_result(outcome="under way")],
            "To end what is left when the hosts are reachable, run: ",
        ),
        (
            [make_result(outcome="trying")],
            "To end what is left when the hosts are reachable, run: ",
        ),
    ],
)
def test_the_command_that_finishes_the_job_speaks_of_reachable_hosts_if_one_was_not(
    results, begins
):
    assert [line[: len(begins)] for line in recap(results) if line.startswith("To end")] == [begins]


@given(RESULTS)
def test_the_command_that_finishes_the_job_names_exactly_the_hosts_that_are_not_clean(results):
    unclean = {
        one["host"]
        for one in results
        if one["outcome"] in ("unreachable", "failed", "trying", "under way")
        or (one["outcome"], one["report"]) == ("confirmed", None)
        or (one["report"] or make_report())["survivors"]
    }
    command = [line for line in recap(results) if line.startswith("To end what is left")]
    assert len(command) == bool(unclean)
    if command:
        words = shlex.split(command[0].partition(": ")[2])
        assert words[:6] == [
            "ansible-playbook",
            "treekill.remote.sweep",
            "-i",
            "/etc/my hosts",
            "-i",
            "more.yml",
        ]
        assert set(words[words.index("--limit") + 1].split(",")) == unclean
        assert words[-1] == "sweep_runs=0123456789abcdef"


def test_nothing_to_say_is_said_only_to_a_user_that_interrupted():
    assert recap([], interrupted=True) == ["treekill: nothing was running on any host."]
    assert recap([], cause="", interrupted=False) == []


@pytest.mark.parametrize(
    "results", [[], [make_result(report=make_report())]], ids=["nothing", "a host"]
)
def test_after_the_loss_of_a_guardian_there_is_no_all_clear(results):
    lines = Recap(make_run_report(results), True, lost=True).lines()
    said = [line.text for line in lines]
    assert not any("nothing was running on any host" in line for line in said)
    assert (
        (
            "A guardian of this run was lost. Its leases are not known, and their processes may be "
            "alive."
        ),
        C.COLOR_ERROR,
    ) in [(line.text, line.color) for line in lines]
    assert said[-3].endswith(
        "ansible-playbook treekill.remote.sweep -i '/etc/my hosts' -i more.yml --become -e "
        "sweep_runs=0123456789abcdef"
    )
    assert Recap(make_run_report(results), False, lost=True).lines() == []


def test_a_run_that_ended_by_itself_is_not_told_what_was_left_alone_or_was_gone_already():
    assert (
        recap(
            [make_result(outcome="left"), make_result(report=make_report())],
            cause="",
            interrupted=False,
        )
        == []
    )


def test_how_the_processes_ended_is_counted():
    gone = [
        make_process(2),
        make_process(3),
        make_process(4, ended="KILL"),
        make_process(5, ended=None),
    ]
    assert "web1 : ended 4 (KILL 1, TERM 2, no signal 1), survivors 0, 0.2 s" in recap(
        [make_result(report=make_report(gone=gone))]
    )


def test_a_survivor_is_named_with_pid_user_command_and_reason():
    survivor = make_process(
        7, user="root", command="sh -c \x1b[2Jrm\n", ended=None, reason="not permitted"
    )
    lines = recap([make_result(report=make_report(survivors=[survivor]))])
    assert "       survivor 7 (root) sh -c \\x1b[2Jrm\\n: not permitted" in lines


def test_what_the_pass_of_a_host_without_python_does_not_find_is_told():
    lines = recap(
        [
            make_result(
                report=make_report(method="shell", gone=[make_process(2)], root=[5, 4]),
                payload=True,
            )
        ]
    )
    assert (
        "       no Python there: an orphan that cleared its environment, or forks and exits at "
        "once, would not have been found"
    ) in lines
    assert not any("no supervisor" in line for line in lines)


def test_a_host_that_is_tried_again_is_told_for_how_long():
    lines = recap([make_result(outcome="trying", reason="ssh:\n timed out")])
    assert (
        "web1 : NOT CONFIRMED (task: Dump): ssh: timed out. Retrying for 60 s in total, even "
        "after this command exits."
    ) in lines


def test_what_was_spared_and_what_was_left_alone_is_named():
    lines = recap(
        [
            make_result(report=make_report(gone=[make_process(2)], spared=[make_process(8)])),
            make_result("web2", outcome="left", reason="poll 0"),
        ]
    )
    assert "       spared 1 (TREEKILL=spare): pid 8" in lines
    assert "web2 : left alone: poll 0 (task: Dump)" in lines


def test_a_command_that_had_not_been_sent_is_told_and_leaves_nothing_to_be_done():
    lines = recap([make_result(outcome="not begun", reason="its command had not been sent")])
    assert "web1 : nothing had begun (task: Dump): its command had not been sent" in lines
    assert not [
        line for line in lines if "NOT CONFIRMED" in line or line.startswith("To end what is left")
    ]


def test_a_transfer_that_was_broken_off_is_told_and_leaves_nothing_to_be_done():
    lines = recap([make_result(outcome="broken off")])
    assert "web1 : file transfer aborted (task: Dump)" in lines
    assert not [
        line for line in lines if "NOT CONFIRMED" in line or line.startswith("To end what is left")
    ]


def test_a_host_without_a_guard_is_listed_though_nothing_else_ran():
    lines = recap(
        [], unguarded=[{"host": "switch", "connection": "network_cli", "reason": "no\nshell"}]
    )
    assert "switch : NOT PROTECTED over network_cli: no\\nshell" in lines
    assert not any("nothing was running" in line for line in lines)


def many(number: int, **more) -> list:
    return [
        make_result(
            f"web{index:03}",
            report=make_report(gone=[make_process(2, command="sleep 1")], seconds=index / 100),
            **more,
        )
        for index in range(1, number + 1)
    ]


def test_up_to_twenty_hosts_have_a_line_each():
    assert (
        sum(bool(re.match(r"web\d+ +: ended 1 .*survivors 0", line)) for line in recap(many(20)))
        == 20
    )


def test_two_hundred_hosts_that_ended_alike_share_a_line_and_a_tree_below_the_odd_ones():
    odd = make_result(
        "web100",
        report=make_report(survivors=[make_process(7, ended=None, reason="not permitted")]),
    )
    down = [
        make_result(
            f"db{index}",
            outcome="unreachable",
            reason=f"ssh: connect to host 10.0.0.{index} port 22: down",
        )
        for index in (9, 10)
    ]
    lines = recap([one for one in many(200) if one["host"] != "web100"] + [odd, *down])
    heads = [line for line in lines if re.match(r"\S.* : ", line)]
    assert [re.sub(" +:", " :", line) for line in heads] == [
        (
            "db[9-10] (2 hosts) : NOT CONFIRMED (task: Dump): "
            "ssh: connect to host ADDRESS port 22: down"
        ),
        "web100 : ended 0, survivors 1, 0.2 s",
        "web[001-099], web[101-200] (199 hosts) : ended 1 (TERM 1), survivors 0, 0.0 to 2.0 s",
    ]
    assert [line for line in lines if line.startswith("TASK")] == [
        "TASK [Dump] on web100",
        "TASK [Dump] on web001, the same on web[002-099], web[101-200] (198 hosts)",
    ]


def test_a_host_whose_name_is_a_number_keeps_its_counts_among_many():
    lines = recap(
        [
            make_result(
                str(number),
                report=make_report(gone=[make_process(2 + pid) for pid in range(number)]),
            )
            for number in range(10, 31)
        ]
    )
    heads = [line for line in lines if re.match(r"\S.* : ", line)]
    assert heads == [
        f"{number} : ended {number} (TERM {number}), survivors 0, 0.2 s" for number in range(10, 31)
    ]


def test_of_many_hosts_with_v_each_has_a_line():
    lines = [
        line.text for line in Recap(make_run_report(many(200)), True, Screen(verbosity=1)).lines()
    ]
    assert sum(line.startswith("web") for line in lines) == 200


def test_of_many_different_trees_five_are_drawn():
    results = [
        make_result(
            f"web{index}", report=make_report(gone=[make_process(2, command=f"sleep {index}")])
        )
        for index in range(8)
    ]
    lines = recap(results)
    assert sum(line.startswith("TASK") for line in lines) == 5
    assert "The trees of web[5-7] (3 hosts) are not drawn here: -v draws them." in lines


def test_two_hosts_that_did_the_same_share_a_tree_though_pids_directories_and_leases_differ():
    def of(host, run):
        command = (
            f"/bin/sh -c export TREEKILL={run * 16}/0000000{run}/$$/$PPID; "
            f"{OUTLIVES_HANG_UP}python3 "
            f"/root/.ansible/tmp/ansible-tmp-{run}.5-{run}-1/AnsiballZ_command.py"
        )
        return make_result(host, report=make_report(gone=[make_process(int(run), command=command)]))

    lines = recap([of("web2", "2"), of("web1", "3")])
    assert "TASK [Dump] on web1, the same on web2" in lines
    assert [line.split("  ")[1] for line in lines if "python3" in line] == [
        "/bin/sh -c python3 /root/.ansible/tmp/ansible-tmp-*/AnsiballZ_command.py (3, u)"
    ]


def test_the_command_that_finishes_the_job_reaches_its_hosts_as_the_run_did(monkeypatch):
    words = {
        "inventory": ("hosts",),
        "remote_user": "deploy",
        "private_key_file": "/k y",
        "become_ask_pass": True,
        "vault_ids": ["@prompt"],
    }
    monkeypatch.setattr(
        context,
        "CLIARGS",
        ImmutableDict(connection="ssh", become_method="sudo", extra_vars=("p=1",), **words),
    )
    command = next(
        line
        for line in recap([make_result(outcome="unreachable")])
        if line.startswith("To end what is left")
    ).partition(": ")[2]
    assert shlex.split(command)[2:11] == [
        "-i",
        "hosts",
        "-u",
        "deploy",
        "--private-key",
        "/k y",
        "-K",
        "--vault-id",
        "@prompt",
    ]
    assert "p=1" not in command


@pytest.mark.parametrize("option", ["ssh_common_args", "ssh_extra_args"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("-o ProxyCommand='nc hunter2 %h %p'", False),
        ("-o proxycommand=hunter2", False),
        ("-F /etc/sshpass-hunter2", False),
        ("-o token=hunter2", False),
        ("-J jump.hunter2", True),
    ],
)
def test_arguments_of_ssh_that_may_hold_a_secret_are_left_out_and_never_logged(
    monkeypatch, option, value, shown
):
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict({"connection": "ssh", option: value}))
    line = next(
        line
        for line in Recap(make_run_report([make_result(outcome="unreachable")]), True).lines()
        if line.text.startswith("To end what is left")
    )
    written = f"--{option.replace('_', '-')}"
    words, logged = shlex.split(line.text), shlex.split(line.log or "")
    assert words[words.index(written) + 1] == (value if shown else "...")
    assert logged[logged.index(written) + 1] == "..."


def test_what_was_spared_is_not_nothing():
    lines = recap([make_result(report=make_report(spared=[make_process(8, ended=None)]))])
    assert not any("nothing was running" in line for line in lines)
    assert "       spared 1 (TREEKILL=spare): pid 8" in lines


@pytest.mark.parametrize(
    "found",
    [{"gone": [make_process(2)], "root": [5, 4]}, {"gone": [make_process(2)]}, {}],
    ids=["with its root", "without", "nothing"],
)
@pytest.mark.parametrize(("unreadable", "more"), [(0, ""), (3, ", or became another user,")])
def test_without_a_supervisor_what_could_not_be_looked_into_is_told(found, unreadable, more):
    lines = recap([make_result(report=make_report(unreadable=unreadable, **found), payload=True)])
    assert (
        f"       no supervisor was there: an orphan that cleared its environment{more} would "
        "not have been found"
    ) in lines


@pytest.mark.parametrize(
    ("one", "color", "text"),
    [
        (
            make_result(report=make_report(), payload=True),
            C.COLOR_WARN,
            "nothing was found running",
        ),
        (
            make_result(report=make_report(method="shell"), payload=True),
            C.COLOR_WARN,
            "nothing was found running",
        ),
        (
            make_result(report=make_report(supervised=True), payload=True),
            C.COLOR_OK,
            "nothing was still running",
        ),
        (make_result(report=make_report()), C.COLOR_OK, "nothing was still running"),
    ],
    ids=[
        "nothing stood there",
        "no Python",
        "a supervisor has reported",
        "core's own handling of files",
    ],
)
def test_a_look_that_can_miss_something_gives_no_all_clear(one, color, text):
    lines = Recap(make_run_report([one]), True).lines()
    assert [(line.text, line.color) for line in lines if line.text.startswith("web1 ")] == [
        (f"web1 : {text}", color)
    ]
    assert any("would not have been found" in line.text for line in lines) == (
        color == C.COLOR_WARN
    )


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            {"wanted": False, "reason": "no guard"},
            "web1 : NOT PROTECTED, and perhaps running (task: Dump): no guard",
        ),
        (
            {"wanted": True, "reason": "no wish"},
            "web1 : left alone, and perhaps running: no wish (task: Dump)",
        ),
    ],
)
def test_a_task_that_held_no_lease_is_listed_and_there_is_no_all_clear(entry, line):
    lines = recap([], tasks=[UnguardedTask("web1", "Dump", **entry)])
    assert line in lines
    assert not any("nothing was running" in one for one in lines)


def test_no_line_of_the_log_has_a_command_line():
    """Others can read the file of log_path.

    Command lines are for the report, which the user can keep in a private place.
    """
    survivor = make_process(
        7, user="root", command="tool hunter2", ended=None, reason="not permitted"
    )
    results = [
        make_result(
            report=make_report(gone=[make_process(2, command="tool hunter2")], survivors=[survivor])
        )
    ]
    shown = Recap(make_run_report(results), True).lines()
    logged = [line.text if line.log is None else line.log for line in shown]
    assert sum("hunter2" in line.text for line in shown) == 3
    assert not [line for line in logged if "hunter2" in line]
    assert "       survivor 7 (root): not permitted" in logged


def transaction(how: str, *commands: str) -> list[dict[str, object]]:
    """Return processes of a report that were in a transaction."""
    ended = None if how == "finishing" else "TERM" if how == "broken off" else "exited"
    return [
        make_process(pid, command=command, ended=ended, transaction=how)
        for pid, command in enumerate(commands, 100)
    ]


LEFT = "left to finish: apt-get (pid 100)"
APT_GET = ("/usr/bin/apt-get install --password=horse x", "/usr/bin/dpkg --configure x")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            {"gone": transaction("finished", *APT_GET)},
            "finished its transaction: apt-get (pid 100)",
        ),
        (
            {"gone": transaction("broken off", *APT_GET)},
            "BROKEN OFF in its transaction: apt-get (pid 100): finish_timeout was over",
        ),
        (
            # What it had started, and what ended in time, is no finished transaction.
            {
                "gone": [
                    make_process(90, command="sh", ended="exited", transaction="finished"),
                    *transaction("broken off", *APT_GET),
                ]
            },
            "BROKEN OFF in its transaction: apt-get (pid 100): finish_timeout was over",
        ),
        (
            {"finishing": transaction("finishing", *APT_GET)},
            f"{LEFT}; a process on the host sees to it, and then ends the rest",
        ),
        # It carries a transaction, and is in none.
        ({"gone": [make_process(7, command="sh -c x")]}, None),
        ({"finishing": [make_process(7, command="sh -c x", ended=None)]}, None),
    ],
    ids=["finished", "broken off", "broken off and a child", "left", "no transaction", "carries"],
)
def test_a_transaction_has_a_line_with_its_program_and_its_end(more, line):
    lines = [one.strip() for one in recap([make_result(report=make_report(**more))])]
    about = [
        one
        for one in lines
        if one.startswith(("finished its", "BROKEN OFF in", "left to finish: "))
    ]
    assert about == ([] if line is None else [line])
    assert "horse" not in "".join(about)
    assert not any("nothing was running" in one for one in lines)
