# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `always` sections that a host has still to run, from core's state of the host. Pure.

Core holds a state for each level of nested blocks. A state names its block, the section of the
block, and the next task in each section.
"""

from __future__ import annotations

import typing as t

from ansible.executor.play_iterator import FailedStates, HostState, IteratingStates
from ansible.playbook.block import Block

if t.TYPE_CHECKING:
    from ansible.playbook.task import Task


def blocks_left(
    state: HostState | None, has_begun: t.Callable[[Task], bool] = lambda task: True
) -> list[Block]:
    """Return the blocks whose `always` section the host has still to run, from the innermost out.

    An `always` section whose first task has begun is not among them: as in Python, an interruption
    abandons it. An outer one is. A block whose first task has not begun is not among them either.

    Args:
        state: of the host.
        has_begun: whether a task that core has taken for the host has begun. Core takes it before
            there is a worker for it.
    """
    section = _section(state)
    if state is None or section is None or state.cur_block >= len(state._blocks):
        return []
    child = _child(state, section)
    inner, block = blocks_left(child, has_begun), state._blocks[state.cur_block]
    return (
        [*inner, block]
        if _always_of(block)
        and _has_begun(state, has_begun)
        and not _is_in_always(state, has_begun)
        else inner
    )


def is_abandoned(
    state: HostState | None,
    in_flight: bool,
    has_begun: t.Callable[[Task], bool] = lambda task: True,
) -> bool:
    """Whether an interruption now abandons an `always` section that the host has begun.

    Args:
        state: of the host.
        in_flight: whether a task of the host is in flight.
        has_begun: as for `blocks_left`.
    """
    section = _section(state)
    if state is None or section is None or state.cur_block >= len(state._blocks):
        return False
    in_flight = in_flight or state.run_state == IteratingStates.HANDLERS
    child, block = _child(state, section), state._blocks[state.cur_block]
    if _is_in_always(state, has_begun) and _always_of(block):
        return in_flight or _has_tasks(child) or state.cur_always_task < len(block.always)
    return is_abandoned(child, in_flight, has_begun)


def _has_tasks(state: HostState | None) -> bool:
    """Whether core has still to take a task of these blocks for the host."""
    section = _section(state)
    if state is None or section is None or state.cur_block >= len(state._blocks):
        return False
    block = state._blocks[state.cur_block]
    tasks, taken = {
        IteratingStates.TASKS: (block.block, state.cur_regular_task),
        IteratingStates.RESCUE: (block.rescue, state.cur_rescue_task),
        IteratingStates.ALWAYS: (block.always, state.cur_always_task),
    }[section]
    return (
        taken < len(tasks)
        or (section != IteratingStates.ALWAYS and bool(_always_of(block)))
        or state.cur_block + 1 < len(state._blocks)
        or _has_tasks(_child(state, section))
    )


def _child(state: HostState, section: IteratingStates) -> HostState | None:
    return {
        IteratingStates.TASKS: state.tasks_child_state,
        IteratingStates.RESCUE: state.rescue_child_state,
        IteratingStates.ALWAYS: state.always_child_state,
    }[section]


def _has_begun(state: HostState, has_begun: t.Callable[[Task], bool]) -> bool:
    """Whether a task of the block that the host is in has begun."""
    if _section(state) != IteratingStates.TASKS or state.cur_block >= len(state._blocks):
        return True
    tasks = state._blocks[state.cur_block].block
    return _has_section_begun(tasks, state.cur_regular_task, state.tasks_child_state, has_begun)


def _is_in_always(state: HostState, has_begun: t.Callable[[Task], bool]) -> bool:
    """Whether a task of the `always` section of the block that the host is in has begun."""
    if _section(state) != IteratingStates.ALWAYS:
        return False
    tasks = state._blocks[state.cur_block].always
    return _has_section_begun(tasks, state.cur_always_task, state.always_child_state, has_begun)


def _has_section_begun(
    tasks: t.Sequence[Block | Task],
    taken: int,
    child: HostState | None,
    has_begun: t.Callable[[Task], bool],
) -> bool:
    """Whether one of these tasks has begun. `taken`: how many core has taken for the host."""
    if taken != 1:
        return taken > 1
    first = tasks[0]
    if not isinstance(first, Block):
        return has_begun(first)
    return child is None or _has_begun(child, has_begun)


def _always_of(block: Block) -> list[Block | Task]:
    """Return the `always` section of a block as it is in the playbook.

    With `force_handlers`, core itself puts all tasks of a play into a block whose `always` section
    flushes the handlers. An interrupted run runs no handlers.
    """
    return [part for part in block.always if not _is_implicit(part)]


def _is_implicit(part: Block | Task) -> bool:
    # A block without tasks is left of one whose tasks have other tags.
    return (
        all(map(_is_implicit, (*part.block, *part.always)))
        if isinstance(part, Block)
        else bool(part.implicit)
    )


def _section(state: HostState | None) -> IteratingStates | None:
    """Return the section of its block in which the host is; None outside of all blocks."""
    if state is None:
        return None
    # While handlers run, the host is still where they were flushed.
    now = (
        state.pre_flushing_run_state
        if state.run_state == IteratingStates.HANDLERS
        else state.run_state
    )
    sections = (IteratingStates.TASKS, IteratingStates.RESCUE, IteratingStates.ALWAYS)
    return now if now in sections else None


def state_of_always(blocks: t.Sequence[Block]) -> HostState:
    """Return the state of a host that has only the `always` sections of these blocks to run.

    Args:
        blocks: from the innermost out, as `blocks_left` returns them.

    The blocks are nested as they were, without their tasks and without `rescue`. So core runs an
    outer section also if an inner one fails. Variables, conditions and privileges are inherited as
    before: the tasks stay the same.
    """
    inner: list[Block] = []
    for block in blocks:
        outer = block.copy(exclude_tasks=True)
        outer.block, outer.rescue, outer.always = inner, [], _always_of(block)
        inner = [outer]
    state = HostState(blocks=inner)
    if inner:
        state.run_state = IteratingStates.TASKS
    return state


def has_unrescued_failure(state: HostState | None) -> bool:
    """Whether a task of the host has failed in a block that neither rescues nor has rescued it."""
    if state is None:
        return False
    children = (state.tasks_child_state, state.rescue_child_state, state.always_child_state)
    return (
        state.fail_state != FailedStates.NONE and state.run_state != IteratingStates.RESCUE
    ) or any(map(has_unrescued_failure, children))
