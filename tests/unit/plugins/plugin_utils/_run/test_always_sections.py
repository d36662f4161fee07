# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core's iterator of a real play, which is interrupted at each of its tasks in turn.

Plays are walked as a strategy does. What is expected is worked out from the playbook alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.executor.play_iterator import IteratingStates, PlayIterator
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.playbook.play_context import PlayContext
from ansible.vars.manager import VariableManager
from ansible_collections.treekill.remote.plugins.plugin_utils._run import patch_iterator
from ansible_collections.treekill.remote.plugins.plugin_utils._run.patch_iterator import (
    AlwaysIterator,
)

Steps = list[dict[str, Any]]

HOST = "web1"


def task(name: str) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.meta": "noop"}


def block(*tasks: Any, **sections: Any) -> dict[str, Any]:
    return {"block": [*tasks], **sections}


#: A playbook, and for each task at which the play is interrupted the tasks that have to follow.
#: `!` before a name: the task fails on the way to that point, so that core goes on to rescue.
PLAYS: list[tuple[str, Steps, dict[str, list[str]]]] = [
    (
        "nested",
        [
            task("a"),
            block(
                task("b"),
                block(task("c"), rescue=[task("no")], always=[task("d"), task("e")]),
                task("f"),
                rescue=[task("no")],
                always=[task("g"), block(task("h"), always=[task("i")]), task("j")],
            ),
            task("k"),
        ],
        {
            "a": [],
            "b": ["g", "h", "i", "j"],
            "c": ["d", "e", "g", "h", "i", "j"],
            "d": ["g", "h", "i", "j"],
            "e": ["g", "h", "i", "j"],
            "f": ["g", "h", "i", "j"],
            "g": [],
            "h": ["i"],
            "i": [],
            "j": [],
            "k": [],
        },
    ),
    (
        "inner block without always",
        [block(block(block(task("a"))), always=[task("b")])],
        {"a": ["b"], "b": []},
    ),
    (
        "in rescue",
        [
            block(
                block(task("!a"), rescue=[task("b"), task("c")], always=[task("d")]),
                always=[task("e")],
            )
        ],
        {"b": ["d", "e"], "c": ["d", "e"], "d": ["e"], "e": []},
    ),
    (
        "in always after a failure",
        [block(block(task("!a"), always=[task("b"), task("c")]), always=[task("d")])],
        {"b": ["d"], "c": ["d"], "d": []},
    ),
    (
        "blocks one after the other",
        [block(task("a"), always=[task("b")]), block(task("c"), always=[task("d")])],
        {"a": ["b"], "b": [], "c": ["d"], "d": []},
    ),
    (
        "the always section of a block in rescue",
        [
            block(
                task("!a"),
                rescue=[block(task("b"), always=[task("c")]), task("no")],
                always=[task("d")],
            )
        ],
        {"b": ["c", "d"], "c": ["d"], "d": []},
    ),
]


class Interruptible:
    """A run as the iterator sees it, without processes."""

    def __init__(self, left_out: dict[str, str] | None = None) -> None:
        self.is_on = False
        self.left_out = left_out or {}
        self.waits = 0

    def begin_play(self, iterator: AlwaysIterator, manager: object) -> None:
        pass

    def await_trees(self) -> dict[str, str]:
        self.waits += 1
        return self.left_out

    def forget_failures(self) -> None:
        pass

    def check_workers(self) -> None:
        pass

    def end_play(self) -> BaseException | None:
        return None


@pytest.fixture(autouse=True)
def no_run() -> Iterator[None]:
    yield
    patch_iterator._Current.always = patch_iterator._Current.manager = None


class Walk:
    """A play on one host, of which a strategy asks one task after the other."""

    def __init__(
        self, steps: Steps, directory: Path, run: Interruptible | None, **keywords: Any
    ) -> None:
        file = directory / "play.yml"
        file.write_text(
            json.dumps([{"hosts": HOST, "gather_facts": False, "tasks": steps, **keywords}])
        )
        loader = DataLoader()
        inventory = InventoryManager(loader=loader, sources=f"{HOST},")
        variables = VariableManager(loader=loader, inventory=inventory)
        play = Playbook.load(str(file), variables, loader).get_plays()[0]
        if run is not None:
            patch_iterator._Current.always, patch_iterator._Current.manager = run, object()
        kind = AlwaysIterator if run is not None else PlayIterator
        self.iterator = kind(
            inventory=inventory,
            play=play,
            play_context=PlayContext(play),
            variable_manager=variables,
            all_vars={},
        )
        self.host = inventory.get_host(HOST)

    def next(self) -> str | None:
        """Return the name of the next task, in the way of the linear strategy.

        Tasks that core adds are left out. A task whose name begins with `!` fails.
        """
        while True:
            state, got = self.iterator.get_next_task_for_host(self.host, peek=True)
            if got is None:
                return None
            self.iterator.set_state_for_host(self.host.name, state)
            if not got.implicit:
                break
        if got.name.startswith("!"):
            self.iterator.mark_host_failed(self.host)
        return str(got.name)

    def to(self, name: str) -> None:
        while (got := self.next()) != name:
            assert got is not None, f"the play has no {name}"

    def rest(self) -> list[str]:
        names = []
        while (got := self.next()) is not None:
            names.append(got)
        # Each strategy of core does that at the end.
        self.iterator.get_next_task_for_host(self.host)
        return names


@pytest.mark.parametrize("fails", [False, True], ids=["has ended", "was in flight"])
@pytest.mark.parametrize(
    ("steps", "at", "follow"),
    [
        pytest.param(steps, at, follow, id=f"{name}, at {at}")
        for name, steps, points in PLAYS
        for at, follow in points.items()
    ],
)
def test_only_the_sections_of_the_blocks_that_the_host_is_in_follow(
    tmp_path, steps, at, follow, fails
):
    run = Interruptible()
    walk = Walk(steps, tmp_path, run)
    walk.to(at)
    run.is_on = True
    if fails:
        # The task comes back with a failed result, and core asks whether it is rescued.
        state = walk.iterator.get_state_for_host(HOST)
        removed = walk.iterator._play._removed_hosts
        before = len(removed)
        walk.iterator.mark_host_failed(walk.host)
        assert not walk.iterator.is_any_block_rescuing(state)
        assert len(removed) == before + 1
        walk.iterator.get_next_task_for_host(walk.host, peek=True)
        # `ansible_play_hosts` of the sections has the host.
        assert len(removed) == before + (not follow)
    assert walk.rest() == follow
    assert run.waits == 1


@pytest.mark.parametrize("steps", [steps for dummy, steps, points in PLAYS])
def test_a_play_that_is_not_interrupted_is_walked_as_by_core(tmp_path, steps):
    mine, cores = (Walk(steps, tmp_path, run) for run in (Interruptible(), None))
    assert mine.rest() == cores.rest()


def test_a_host_whose_tree_may_be_alive_runs_nothing(tmp_path):
    run = Interruptible({HOST: "it is not confirmed"})
    walk = Walk([block(task("a"), always=[task("no")])], tmp_path, run)
    walk.to("a")
    assert walk.iterator.hosts_in_blocks() == [HOST]
    run.is_on = True
    assert walk.rest() == []
    assert not walk.iterator.handed


def test_an_outer_section_runs_when_a_task_of_an_inner_one_fails(tmp_path):
    run = Interruptible()
    steps = [
        block(
            block(task("a"), always=[task("!b"), task("no")]),
            rescue=[task("no")],
            always=[task("c")],
        )
    ]
    walk = Walk(steps, tmp_path, run)
    walk.to("a")
    run.is_on = True
    walk.iterator.mark_host_failed(walk.host)
    assert walk.rest() == ["!b", "c"]
    assert walk.iterator.has_failed(HOST)


def test_a_block_within_a_section_is_rescued_as_ever(tmp_path):
    run = Interruptible()
    section = [block(task("!b"), rescue=[task("c")]), task("d")]
    walk = Walk([block(task("a"), always=section)], tmp_path, run)
    walk.to("a")
    run.is_on = True
    assert walk.rest() == ["!b", "c", "d"]
    assert not walk.iterator.has_failed(HOST)
    assert not walk.iterator.has_left(HOST)


def test_a_state_that_a_strategy_got_before_the_interruption_counts_no_longer(tmp_path):
    run = Interruptible()
    walk = Walk([block(task("a"), task("b"), always=[task("c")])], tmp_path, run)
    walk.to("a")
    old, dummy = walk.iterator.get_next_task_for_host(walk.host, peek=True)
    run.is_on = True
    walk.iterator.get_next_task_for_host(walk.host, peek=True)
    walk.iterator.set_state_for_host(HOST, old)
    assert not walk.iterator.handed
    assert walk.rest() == ["c"]


def sent(name: str, **keywords: Any) -> dict[str, Any]:
    """Return a task for which core starts a worker, of an action that it knows without a plugin."""
    return {"name": name, "ansible.builtin.include_tasks": "more.yml", **keywords}


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("within", [False, True], ids=["first", "first of the inner block"])
def test_a_block_whose_first_task_has_not_begun_has_no_section(tmp_path, begins, within):
    """Core takes a task for a host, and then waits for a free fork."""
    run = Interruptible()
    first = block(sent("a"), always=[task("b")])
    walk = Walk([block(first, always=[task("c")]) if within else first], tmp_path, run)
    walk.to("a")
    if begins:
        [got] = [one for one in tasks_of(walk) if one.name == "a"]
        walk.iterator.note_begun(HOST, got)
    assert walk.iterator.hosts_in_blocks() == ([HOST] if begins else [])
    run.is_on = True
    assert walk.rest() == ([*"bc"] if begins and within else ["b"] if begins else [])


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("within", [False, True], ids=["first", "first of an inner block"])
def test_a_section_whose_first_task_has_not_begun_is_run(tmp_path, begins, within):
    """Core takes the task for all hosts of a linear play, and then waits for a free fork."""
    run = Interruptible()
    first = block(sent("b")) if within else sent("b")
    walk = Walk([block(task("a"), always=[first, task("c")])], tmp_path, run)
    walk.to("b")
    if begins:
        [got] = [one for one in tasks_of(walk) if one.name == "b"]
        walk.iterator.note_begun(HOST, got)
    assert walk.iterator.hosts_in_blocks() == ([] if begins else [HOST])
    assert walk.iterator.hosts_in_sections([HOST]) == ([HOST] if begins else [])
    run.is_on = True
    assert walk.rest() == ([] if begins else ["b", "c"])


#: For each task of the play of that name, whether an interruption abandons an `always` section. The
#: first value is for an interruption while the task is in flight, the second for one after its end.
ABANDONED = {
    "nested": {
        **dict.fromkeys("abcfk", (False, False)),
        "d": (True, True),
        "e": (True, False),
        **dict.fromkeys("ghi", (True, True)),
        "j": (True, False),
    },
    "in rescue": {
        **dict.fromkeys("bc", (False, False)),
        "d": (True, False),
        "e": (True, False),
    },
}


@pytest.mark.parametrize(
    ("steps", "at", "in_flight", "after"),
    [
        pytest.param(steps, at, *ABANDONED[name][at], id=f"{name}, at {at}")
        for name, steps, dummy in PLAYS
        for at in ABANDONED.get(name, ())
    ],
)
def test_a_section_that_an_interruption_abandons_is_known(tmp_path, steps, at, in_flight, after):
    walk = Walk(steps, tmp_path, Interruptible())
    walk.to(at)
    assert walk.iterator.hosts_in_sections([HOST]) == ([HOST] if in_flight else [])
    assert walk.iterator.hosts_in_sections([]) == ([HOST] if after else [])


def test_a_block_whose_second_task_has_not_begun_has_its_section(tmp_path):
    run = Interruptible()
    walk = Walk([block(sent("a"), sent("b"), always=[task("c")])], tmp_path, run)
    walk.to("a")
    [first] = [one for one in tasks_of(walk) if one.name == "a"]
    walk.iterator.note_begun(HOST, first)
    walk.to("b")
    run.is_on = True
    assert walk.rest() == ["c"]


def test_a_task_that_runs_once_has_begun_for_all_hosts(tmp_path):
    run = Interruptible()
    walk = Walk([block(sent("a", run_once=True), always=[task("b")])], tmp_path, run)
    walk.to("a")
    [first] = [one for one in tasks_of(walk) if one.name == "a"]
    walk.iterator.note_begun("another", first)
    assert walk.iterator.hosts_in_blocks() == [HOST]


def test_a_task_after_the_interruption_begins_nothing(tmp_path):
    """Its worker refuses it."""
    run = Interruptible()
    walk = Walk([block(sent("a"), always=[task("no")])], tmp_path, run)
    walk.to("a")
    run.is_on = True
    [first] = [one for one in tasks_of(walk) if one.name == "a"]
    walk.iterator.note_begun(HOST, first)
    assert walk.rest() == []


def test_the_sections_of_one_host_do_not_end_those_of_another(tmp_path):
    """Neither any_errors_fatal nor max_fail_percentage counts any more."""
    run = Interruptible()
    steps = [block(task("a"), always=[task("b")])]
    walk = Walk(steps, tmp_path, run, any_errors_fatal=True, max_fail_percentage=10)
    walk.to("a")
    run.is_on = True
    dummy, got = walk.iterator.get_next_task_for_host(walk.host, peek=True)
    assert got.name == "b"
    assert not got.any_errors_fatal
    assert walk.iterator.play.max_fail_percentage is None


def tasks_of(walk: Walk) -> list[Any]:
    return [one for part in walk.iterator._blocks for one in part.get_tasks()]


def test_what_a_task_of_before_has_included_or_notified_is_dropped(tmp_path):
    run = Interruptible()
    handlers = [task("handler")]
    walk = Walk([block(task("a"), always=[task("b")])], tmp_path, run, handlers=handlers)
    included = Walk([task("included")], tmp_path, None).iterator._play.compile()
    walk.to("a")
    run.is_on = True
    walk.iterator.get_next_task_for_host(walk.host, peek=True)
    walk.iterator.add_tasks(walk.host, included)
    walk.iterator.add_notification(HOST, "handler")
    assert walk.iterator.get_state_for_host(HOST).handler_notifications == []
    assert walk.rest() == ["b"]


def test_what_a_section_includes_runs(tmp_path):
    run = Interruptible()
    walk = Walk([block(task("a"), always=[task("b"), task("d")])], tmp_path, run)
    included = Walk([task("c")], tmp_path, None).iterator._play.compile()
    walk.to("a")
    run.is_on = True
    walk.to("b")
    walk.iterator.add_tasks(walk.host, included)
    assert walk.rest() == ["c", "d"]


@pytest.mark.parametrize("forced", [False, True])
def test_the_flush_that_core_adds_for_force_handlers_is_no_section(tmp_path, forced):
    run = Interruptible()
    steps = [task("a"), block(task("b"), always=[task("c")])]
    walk = Walk(steps, tmp_path, run, force_handlers=forced)
    walk.to("a")
    assert walk.iterator.hosts_in_blocks() == []
    walk.to("b")
    assert walk.iterator.hosts_in_blocks() == [HOST]
    run.is_on = True
    assert walk.rest() == ["c"]


@pytest.mark.parametrize(("section", "follow"), [([], []), ([task("b")], ["b"])])
def test_a_block_of_which_tags_have_left_a_section_alone_has_that_section(
    tmp_path, section, follow
):
    """Core removes the tasks with other tags, and leaves their block."""
    run = Interruptible()
    walk = Walk([block(task("a"), always=[block(task("no"), always=section)])], tmp_path, run)
    walk.to("a")
    state = walk.iterator.get_state_for_host(HOST)
    state._blocks[state.cur_block].always[0].block = []
    assert walk.iterator.hosts_in_blocks() == ([HOST] if follow else [])
    run.is_on = True
    assert walk.rest() == follow


def test_a_host_that_a_meta_task_ends_is_not_done(tmp_path):
    run = Interruptible()
    walk = Walk([block(task("a"), always=[task("b"), task("no")])], tmp_path, run)
    walk.to("a")
    run.is_on = True
    walk.to("b")
    walk.iterator.set_run_state_for_host(HOST, IteratingStates.COMPLETE)
    assert walk.rest() == []
    assert walk.iterator.ended == {HOST}
    assert not walk.iterator.has_left(HOST)


@pytest.mark.parametrize(
    "inner",
    [
        [block(task("a"), always=[task("!b")])],
        [block(task("a"), always=[block(task("!b"), always=[task("c")])])],
    ],
)
def test_errors_that_a_section_clears_stay_known(tmp_path, inner):
    run = Interruptible()
    walk = Walk([block(*inner, always=[task("d")])], tmp_path, run)
    walk.to("a")
    run.is_on = True
    walk.to("!b")
    walk.to("c" if "always" in inner[0]["always"][0] else "d")
    walk.iterator.clear_host_errors(walk.host)
    walk.rest()
    assert walk.iterator.has_failed(HOST)
