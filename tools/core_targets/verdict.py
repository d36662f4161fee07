# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on the callback, from two runs of a target: one with it and one without."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum


class Verdict(Enum):
    """The verdict on one target."""

    SAME = "same"
    DIFFERS = "differs"
    LISTED = "differs, as listed"
    #: It fails without the callback too, or once in all tries. Its own deadlines cause that on a
    #: busy machine.
    UNSTEADY = "unsteady"
    FAILS_WITHOUT = "can't run here"
    #: No try has passed, and some were ended at the limit.
    TOO_SLOW = "takes too long here"
    UNGUARDED = "was not guarded"


#: Verdicts that judge the callback.
JUDGED = frozenset(Verdict) - {Verdict.FAILS_WITHOUT, Verdict.TOO_SLOW}

#: Verdicts that make the command fail.
BAD = frozenset({Verdict.DIFFERS, Verdict.UNGUARDED})


@dataclass(frozen=True)
class Ending:
    """The ending of one run of a target."""

    status: int
    seconds: float
    output: str
    #: Words that `enable.py` noted of the runs of Ansible in it; empty without the callback.
    notes: Counter[str] = field(default_factory=Counter)
    #: Seconds of processor time, which other work on the machine does not make longer.
    processor: float = 0.0
    #: The command lines of the processes that it has left on the host.
    left: tuple[str, ...] = ()
    #: Whether it was ended because it took too long.
    cut: bool = False


def judge(
    bare: Sequence[Ending], guarded: Sequence[Ending], *, listed: bool, no_run: bool
) -> Verdict:
    """Compare the endings of all tries without and with the callback.

    Args:
        bare: without it; may be empty where all have passed with it: there is nothing to compare.
        guarded: with it.
        listed: the list names it as one that differs.
        no_run: the list names it as one that starts no run of Ansible.
    """
    passed_bare, passed = [not one.status for one in bare], [not one.status for one in guarded]
    if not all(passed):
        if not any(passed_bare) and not any(passed):
            return (
                Verdict.TOO_SLOW
                if any(one.cut for one in (*bare, *guarded))
                else Verdict.FAILS_WITHOUT
            )
        if not all(passed_bare) or not is_repeated([not one for one in passed]):
            return Verdict.UNSTEADY
        return Verdict.LISTED if listed else Verdict.DIFFERS
    if not no_run and not was_guarded(sum((one.notes for one in guarded), Counter())):
        return Verdict.UNGUARDED
    if is_repeated([worse(*pair) for pair in zip(bare, guarded, strict=False)]):
        return Verdict.LISTED if listed else Verdict.DIFFERS
    return Verdict.SAME


def was_guarded(notes: Counter[str]) -> bool:
    """Whether a guardian was there, and no run did without the callback.

    A target may interrupt a run before it has begun.
    """
    return notes["guarded"] > 0 and not notes["missing"] and not notes["alone"]


def is_repeated(tries: Sequence[object]) -> bool:
    """Whether it was so in the only try, or in more than one of several."""
    return sum(map(bool, tries)) > (1 if len(tries) > 1 else 0)


def worse(bare: Ending, guarded: Ending) -> str:
    """Return what was worse with the callback in a try that passed both ways; empty if nothing."""
    # Half as long again and 5 s more is above the noise of a machine that runs both at once.
    if guarded.seconds > bare.seconds * 1.5 + 5:
        return f"it takes {guarded.seconds:.0f} s, {bare.seconds:.0f} s without"
    before, now = _without_watchers(bare.left), _without_watchers(guarded.left)
    if len(now) > len(before):
        return f"it leaves {len(now)} processes, {len(before)} without: {'; '.join(now)}"[:400]
    return ""


def _without_watchers(left: Sequence[str]) -> Sequence[str]:
    """Return the processes without the supervisors of jobs that the target has left.

    Each of these ends with its job.
    """
    jobs = [one for one in left if not one.startswith("treekill: supervisor")]
    return jobs or left


def reason(output: str) -> str:
    """Return the line that shows best why a target failed.

    It is the last error that was not expected, or the last command of its shell.
    """
    lines = [line.strip() for line in _COLOURS.sub("", output).splitlines()]
    lines = [line for line in lines if line and not _OF_ANSIBLE_TEST.match(line)]
    if lines and lines[-1].startswith("+"):
        return lines[-1][:200]
    ended = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=False)
        if following != "...ignoring"
    ]
    for pattern in _ERRORS:
        for line in reversed(ended):
            if pattern.search(line):
                return line[:200]
    return lines[-1][:200] if lines else "no output"


def own_words(output: str) -> list[str]:
    """Return the lines that the collection prints, each once."""
    lines = (line.strip() for line in _COLOURS.sub("", output).splitlines())
    return list(dict.fromkeys(line[:200] for line in lines if _OURS.search(line)))


_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_OF_ANSIBLE_TEST = re.compile(r"(NOTICE|WARNING|FATAL): ")
_ERRORS = tuple(
    re.compile(pattern)
    for pattern in (r"^(fatal|failed): \[", r"^\[?ERROR\]?[:!]? ", r"Error\b|FAILED")
)
_OURS = re.compile(
    r"treekill(?!-hosts)|The run was interrupted|Traceback \(most recent call last\)"
)
