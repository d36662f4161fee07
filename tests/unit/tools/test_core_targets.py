# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work on core's own targets before and after they run.

The tests show which are chosen, and what their endings prove about the callback.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tools.core_targets.findings import Finding, Findings, figures, state_of, with_other_plugins
from tools.core_targets.place import processor_seconds, python_for
from tools.core_targets.targets import Listed, aliases, choose
from tools.core_targets.verdict import BAD, Ending, Verdict, judge, own_words, reason
from tools.environment._cores import CORES

GUARDED = Counter(loaded=2, guarded=2)


def ending(
    status: int = 0,
    seconds: float = 10.0,
    notes: Counter[str] | None = None,
    left: tuple[str, ...] = (),
) -> Ending:
    return Ending(status, seconds, "", GUARDED if notes is None else notes, left=left)


def verdict(
    bare: list[Ending], guarded: list[Ending], *, listed: bool = False, no_run: bool = False
) -> Verdict:
    return judge(bare, guarded, listed=listed, no_run=no_run)


@pytest.mark.parametrize(
    ("bare", "guarded", "expected"),
    [
        ([0], [0], Verdict.SAME),
        ([], [0], Verdict.SAME),
        ([0, 0, 0], [2, 2, 2], Verdict.DIFFERS),
        ([0, 0, 0], [2, 0, 2], Verdict.DIFFERS),
        ([0], [2], Verdict.DIFFERS),
        ([0, 0, 0], [2, 0, 0], Verdict.UNSTEADY),
        ([0, 1, 0], [2, 0, 0], Verdict.UNSTEADY),
        ([1], [0], Verdict.SAME),
        ([1, 1], [2, 0], Verdict.UNSTEADY),
        ([1], [2], Verdict.FAILS_WITHOUT),
    ],
)
def test_a_target_differs_when_it_fails_with_the_callback_alone(bare, guarded, expected):
    assert (
        verdict([ending(status) for status in bare], [ending(status) for status in guarded])
        is expected
    )


def test_a_target_that_never_ends_in_time_is_too_slow_unless_it_passes_without_the_callback():
    cut = Ending(124, 240.0, "", cut=True)
    assert verdict([cut], [cut]) is Verdict.TOO_SLOW
    assert verdict([ending()] * 3, [cut] * 3) is Verdict.DIFFERS
    assert verdict([cut, ending()], [cut, ending()]) is Verdict.UNSTEADY


def test_only_what_the_list_names_may_differ():
    assert verdict([ending()], [ending(2)], listed=True) is Verdict.LISTED
    assert Verdict.LISTED not in BAD
    assert Verdict.DIFFERS in BAD


@pytest.mark.parametrize(
    "notes",
    [
        Counter(),
        Counter(loaded=3),
        Counter(loaded=3, guarded=2, missing=1),
        Counter(loaded=3, guarded=2, alone=1),
    ],
)
def test_a_target_that_passes_without_a_guardian_proves_nothing(notes):
    assert verdict([ending()], [ending(notes=notes)]) is Verdict.UNGUARDED
    assert Verdict.UNGUARDED in BAD
    # An interruption that comes too early for the guardian comes later in another try.
    expected = Verdict.UNGUARDED if notes["missing"] or notes["alone"] else Verdict.SAME
    assert verdict([ending()] * 2, [ending(notes=notes), ending()]) is expected
    assert verdict([ending()], [ending(notes=notes)], no_run=True) is Verdict.SAME


@pytest.mark.parametrize("worse", [ending(seconds=32), ending(left=("sleep 1000",))])
def test_a_target_that_passes_differs_when_it_takes_much_longer_or_leaves_processes(worse):
    assert verdict([ending()], [worse]) is Verdict.DIFFERS
    assert verdict([ending()] * 3, [ending(), worse, worse]) is Verdict.DIFFERS
    assert verdict([ending()] * 3, [worse, ending(), ending()]) is Verdict.SAME
    assert verdict([worse], [worse]) is Verdict.SAME
    assert verdict([ending()], [ending(seconds=18)]) is Verdict.SAME


def test_the_supervisor_of_a_job_that_is_left_is_no_difference_but_one_without_a_job_is():
    job, supervisor = "sleep 1000", "treekill: supervisor of 4711"
    assert verdict([ending(left=(job,))], [ending(left=(job, supervisor))]) is Verdict.SAME
    assert verdict([ending()], [ending(left=(supervisor,))]) is Verdict.DIFFERS


def test_aliases_are_lines_without_their_comments():
    assert aliases("shippable/posix/group1\n# all of it\nneeds/root  # a user is made\n\n") == {
        "shippable/posix/group1",
        "needs/root",
    }


def test_what_runs_are_the_posix_targets_that_the_list_does_not_exclude():
    known = {
        "raw": {"shippable/posix/group1"},
        "apt": {"shippable/posix/group2", "needs/root"},
        "uri": {"shippable/posix/group2", "needs/httptester"},
        "win_raw": {"shippable/windows/group1"},
        "collection": {"hidden"},
    }
    chosen = choose(known, {"apt": "no index", "needs/http*": "no server"})
    assert chosen.run == ["raw"]
    assert chosen.not_run == {"apt": "no index", "uri": "no server"}


def test_an_exception_without_a_reason_is_refused(tmp_path):
    path = tmp_path / "list.yml"
    path.write_text("not_run: {}\ndiffer: {raw: ''}\nno_run: {}\ntimed: []\nquick: []\n")
    with pytest.raises(ValueError, match="raw has no reason"):
        Listed.read(path)
    assert Listed.read().quick


def test_each_core_has_a_debian_release_whose_python_runs_it():
    assert {python_for(*core.python) for core in CORES.values()} == {(3, 11), (3, 13)}
    assert python_for(*CORES["2.16"].python) == (3, 11)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            (
                "\x1b[0;31mfatal: [testhost]: FAILED! => {}\x1b[0m\nfatal: [testhost]: expected\n"
                "...ignoring\nPLAY RECAP\n"
            ),
            "fatal: [testhost]: FAILED! => {}",
        ),
        (
            (
                "fatal: [testhost]: expected\n+ grep -q it out.txt\n"
                "FATAL: Command exited with status 1.\n"
            ),
            "+ grep -q it out.txt",
        ),
        ("one\n\nlast\nNOTICE: To resume\n", "last"),
        ("", "no output"),
    ],
)
def test_the_reason_of_a_failure_is_the_last_error_that_was_not_expected(output, expected):
    assert reason(output) == expected


def test_what_the_collection_says_is_found_in_an_output():
    assert own_words("ok\n[WARNING]: treekill.remote: no guardian\nok\n") == [
        "[WARNING]: treekill.remote: no guardian"
    ]
    assert own_words("/run/treekill-hosts/labs\n") == []


def test_processor_time_is_that_of_the_children():
    assert processor_seconds("0m0.50s 0m0.25s\n1m2.50s 0m1.25s\n") == pytest.approx(63.75)


def finding(target: str, verdict: Verdict = Verdict.SAME, plugins: str = "now") -> Finding:
    return Finding(
        target, verdict, f"{target}: {verdict.value}", ["it spoke"], plugins, limit=240.0
    )


def test_what_was_found_is_read_by_a_later_command_and_the_last_finding_of_a_target_counts(
    tmp_path,
):
    findings = Findings(tmp_path / "cache" / "findings.jsonl")
    assert findings.read() == {}
    for one in (finding("raw", Verdict.DIFFERS), finding("copy"), finding("raw")):
        findings.add(one)
    assert Findings(tmp_path / "cache" / "findings.jsonl").read() == {
        "copy": finding("copy"),
        "raw": finding("raw"),
    }


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_target_that_was_not_equal_is_judged_again_with_other_plugins_and_a_bad_one_always(
    verdict,
):
    assert finding("raw", verdict).holds("now", 240.0) == (verdict not in BAD)
    assert finding("raw", verdict).holds("later", 240.0) == (
        verdict in {Verdict.SAME, Verdict.FAILS_WITHOUT, Verdict.TOO_SLOW}
    )


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_target_that_took_too_long_is_judged_anew_when_it_is_given_more_time(verdict):
    assert finding("raw", verdict).holds("now", 100.0) == finding("raw", verdict).holds(
        "now", 240.0
    )
    assert finding("raw", verdict).holds("now", 900.0) == (
        verdict not in BAD and verdict is not Verdict.TOO_SLOW
    )


def test_the_row_of_figures_counts_as_judged_all_but_what_never_passes():
    found = {verdict.name: finding(verdict.name, verdict, plugins="before") for verdict in Verdict}
    assert figures("2.21.5", 257, found) == "| 2.21.5 | 257 | 5 | 1 | 3 | 1 | 1 | 1 |"
    assert not {"FAILS_WITHOUT", "TOO_SLOW"} & set(with_other_plugins(found.values(), "now"))
    assert with_other_plugins(found.values(), "before") == []


def test_the_state_of_a_collection_changes_with_its_plugins_alone(tmp_path):
    plugin = tmp_path / "plugins" / "callback" / "guardian.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("one")
    before = state_of(tmp_path)
    (tmp_path / "README.md").write_text("new")
    plugin.with_suffix(".pyc").write_text("compiled")
    assert state_of(tmp_path) == before
    plugin.write_text("two")
    assert state_of(tmp_path) != before
