# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that runs the integration tests of ansible-core with and without the callback.

It prints the targets that end otherwise with it. `make core-tests` calls it, and installs what it
needs. The exit status is 1 if a target differs that the list does not name, or ran without a
guardian.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import kinds
from tests.support.hosts.errors import HostsError
from tools.environment._cores import core_named
from tools.environment._paths import CACHE, IN_COLLECTIONS

from . import sources, targets
from .findings import Finding, Findings, figures, state_of, with_other_plugins
from .place import LONGEST, SUITES, Place, Way, python_for
from .verdict import BAD, Ending, Verdict, judge, own_words, reason, worse

#: Number of tries of a target that differs. A target that sometimes fails by itself shows nothing.
_TRIES = 3

_FOLDER = CACHE / "core-targets"


@dataclass(frozen=True)
class Result:
    """The result of one target."""

    target: str
    verdict: Verdict
    bare: Sequence[Ending]
    guarded: Sequence[Ending]

    def finding(self, plugins: str, limit: float) -> Finding:
        """Return the finding that is kept of it."""
        said = own_words(self.guarded[-1].output)
        only_with_it = [line for line in said if not self.bare or line not in self.bare[-1].output]
        return Finding(self.target, self.verdict, self.line(), only_with_it, plugins, limit)

    def line(self) -> str:
        """Return its line in the output."""
        guarded_runs = self.guarded[-1].notes["guarded"]
        without = f"{_times(self.bare[-1])} without, " if self.bare else ""
        times = f"{without}{_times(self.guarded[-1])} with, {guarded_runs} guarded runs"
        if self.verdict in (Verdict.FAILS_WITHOUT, Verdict.TOO_SLOW):
            return f"{self.target}: {self.verdict.value}: {reason(self.bare[-1].output)}"
        text = f"{self.target}: {self.verdict.value} ({times})"
        failed = [one for one in self.guarded if one.status]
        if self.verdict is Verdict.UNGUARDED:
            text += f": {dict(self.guarded[-1].notes) or 'no run was noted'}"
        if failed:
            text += (
                f": {len(failed)} of {len(self.guarded)} tries fail with it: "
                f"{reason(failed[0].output)}"
            )
        return text + "".join(
            f": {text}" for text in filter(None, map(worse, self.bare, self.guarded)) if not failed
        )


def _times(ending: Ending) -> str:
    return f"{ending.seconds:.0f} s ({ending.processor:.1f} s of processor)"


def main(words: Sequence[str]) -> int:
    """Run and print, and return the exit status."""
    options = _parse(words)
    if kinds.choose(kinds.AUTO) != kinds.NAMESPACE:
        print(
            "core's own targets: not run, as they change the machine: the throw-away hosts for "
            "them need root"
        )
        return 0
    release, listed = sources.installed_release(), targets.Listed.read()
    source = sources.unpacked(release)
    chosen = targets.choose(targets.read(source), listed.not_run)
    collections = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
    findings, plugins = (
        Findings(_FOLDER / f"findings-{release}.jsonl"),
        state_of(collections / IN_COLLECTIONS),
    )
    names = _names(options, chosen, listed)
    before = (
        {name: one for name, one in findings.read().items() if one.holds(plugins, options.limit)}
        if options.go_on
        else {}
    )
    python = python_for(*core_named(".".join(release.split(".")[:2])).python)
    place = Place(source, collections, sources.packages(python), SUITES[python], options.limit)
    try:
        place.compile()
    except HostsError as error:
        print(
            f"core's own targets: not run, as there can be no hosts of Debian {place.suite} here: "
            f"{error}"
        )
        return 0
    left = [name for name in names if name not in before]
    print(
        f"{len(left)} targets of ansible-core {release}, with the callback, and without it those "
        "that fail",
        flush=True,
    )
    now: dict[str, Finding] = {}
    pool = ThreadPoolExecutor(options.jobs)
    try:
        for done in as_completed(
            [pool.submit(_examine, place, listed, name, both=options.both) for name in left]
        ):
            result = done.result()
            _keep(release, result)
            now[result.target] = result.finding(plugins, options.limit)
            findings.add(now[result.target])
            print(result.line(), flush=True)
    except BaseException as error:
        # The hosts end with this process, whereas its threads would wait for them.
        print(f"ended by {error!r}", file=sys.stderr, flush=True)
        os._exit(128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 2)
    everything = dict(sorted({**before, **now}.items()))
    print(_summary(release, everything, {} if options.targets or options.quick else chosen.not_run))
    if options.go_on:
        print(*_row(release, len(chosen.run), everything, plugins), sep="\n")
    return 1 if any(one.verdict in BAD for one in everything.values()) else 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.core_targets.run", description=__doc__)
    parser.add_argument("targets", nargs="*", help="names; default: all that can run here")
    parser.add_argument(
        "--quick", action="store_true", help="those that are nearest to what the collection touches"
    )
    parser.add_argument(
        "--both",
        action="store_true",
        help="run without the callback also what passes with it, and compare the times",
    )
    parser.add_argument(
        "--go-on",
        action="store_true",
        help="leave out what was judged by an earlier command, and count it in the summary",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=LONGEST,
        metavar="SECONDS",
        help="after which a run of a target is ended; default: %(default).0f",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="targets at once; default: one for each processor",
    )
    return parser.parse_args(words)


def _names(
    options: argparse.Namespace, chosen: targets.Chosen, listed: targets.Listed
) -> list[str]:
    if options.targets:
        return list(options.targets)
    if options.quick:
        return [name for name in chosen.run if name in listed.quick]
    return sorted(chosen.run, key=lambda name: name not in listed.quick)  # the nearest first


def _examine(place: Place, listed: targets.Listed, target: str, *, both: bool) -> Result:
    """Run it with the callback, and without if that matters.

    It matters if the target fails with the callback, or if the times are to be compared.
    """
    bare: list[Ending] = []
    guarded: list[Ending] = []
    if both or target in listed.timed:
        bare, guarded = ([ending] for ending in place.run(target, Way.BARE, Way.GUARDED))
    else:
        guarded = place.run(target, Way.GUARDED)
        if guarded[0].status or guarded[0].left:
            bare = place.run(target, Way.BARE)
    while True:
        verdict = judge(
            bare, guarded, listed=target in listed.differ, no_run=target in listed.no_run
        )
        settled = len({not one.status for one in guarded}) == 1 and verdict not in BAD
        if settled or len(bare) == _TRIES:
            return Result(target, verdict, bare, guarded)
        for endings, ending in zip(
            (bare, guarded), place.run(target, Way.BARE, Way.GUARDED), strict=True
        ):
            endings.append(ending)


def _keep(release: str, result: Result) -> None:
    """Leave the output of each run in the cache."""
    folder = _FOLDER / f"output-{release}"
    folder.mkdir(exist_ok=True)
    for way, endings in (("bare", result.bare), ("guarded", result.guarded)):
        if not endings:
            continue
        failed = [one for one in endings if one.status]
        (folder / f"{result.target}.{way}").write_text(
            (failed or endings)[-1].output, encoding="utf-8"
        )


def _summary(release: str, found: Mapping[str, Finding], not_run: Mapping[str, str]) -> str:
    counts = Counter(one.verdict for one in found.values())
    lines = [
        "",
        f"ansible-core {release}: {len(found)} targets",
        *(f"  {counts[one]:4} {one.value}" for one in Verdict if counts[one]),
    ]
    for verdict in (one for one in Verdict if one is not Verdict.SAME and counts[one]):
        lines += [
            "",
            f"{verdict.value}:",
            *(f"  {one.line}" for one in found.values() if one.verdict is verdict),
        ]
    # What it has printed in runs that may not have been interrupted, for a person to look at.
    said = [f"  {name}: {line}" for name, one in found.items() for line in one.said]
    lines += ["", "printed by the collection, or only with it:", *said] if said else []
    if not_run:
        lines += ["", "not run:", *(f"  {name}: {reason}" for name, reason in not_run.items())]
    return "\n".join(lines)


def _row(release: str, chosen: int, found: Mapping[str, Finding], plugins: str) -> list[str]:
    others = with_other_plugins(found.values(), plugins)
    return [
        "",
        figures(release, chosen, found),
        *([f"judged with other plugins than now: {', '.join(others)}"] if others else []),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
