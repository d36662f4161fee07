# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of a program that uses Ansible as a library.

Each begins and ends by itself, and leaves the program as it was.
"""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from ansible.executor.task_queue_manager import TaskQueueManager

from ..program_runs import RunningProgram, start_library_program

SLEEP = "play({'command': 'sleep 7200'})"

#: Handlers that core installs itself, and leaves, are installed by then.
RUNS = """
play({'debug': {'msg': 'x'}})
say(state())
for dummy in range(20):
    play({'debug': {'msg': 'x'}})
say(state())
"""

INTERRUPTED_TWICE = f"""
try:
    {SLEEP}
except KeyboardInterrupt:
    say('caught')
say(play({{'command': 'true'}}))
try:
    {SLEEP}
except KeyboardInterrupt:
    say('caught')
say(play({{'command': 'true'}}))
"""


def said(program: RunningProgram) -> list[Any]:
    return [
        json.loads(line.partition("SAYS ")[2])
        for line in program.told.splitlines()
        if line.startswith("SAYS ")
    ]


def interrupt(program: RunningProgram, number: int = signal.SIGINT) -> None:
    program.until(lambda: program.running("sleep", "7200"))
    program.signal(number)
    program.until(lambda: not program.running("sleep", "7200"))


def test_twenty_runs_leave_the_process_as_it_was(tmp_path):
    with start_library_program(tmp_path, RUNS) as program:
        assert program.wait(200) == 0, program.told
        before, after = said(program)
        # Core sometimes has a handful of pipes open. Descriptors that a run leaves would add up
        # over twenty runs.
        assert abs(after.pop("descriptors") - before.pop("descriptors")) < 10
        assert after == before


def test_a_run_changes_nothing_that_it_does_not_change_without_the_callback(tmp_path):
    seen = []
    for callback in (False, True):
        with start_library_program(
            tmp_path, "play({'debug': {'msg': 'x'}}); say(state())", callback=callback
        ) as program:
            assert program.wait() == 0, program.told
            seen.append(said(program)[0])
    without, with_it = seen
    for name in ("handlers", "wake-up descriptor", "children", "environment"):
        assert with_it[name] == without[name], name


def test_after_an_interruption_that_the_program_has_caught_the_next_run_works_and_is_guarded(
    tmp_path,
):
    with start_library_program(tmp_path, INTERRUPTED_TWICE) as program:
        interrupt(program)
        program.until(lambda: said(program)[:2] == ["caught", 0])
        interrupt(program)
        assert program.wait() == 0, program.told
        assert said(program) == ["caught", 0, "caught", 0]
        assert program.told.count("TREEKILL RECAP [SIGINT]") == 2, program.told


def test_a_program_ends_by_the_signal_that_has_ended_its_run(tmp_path):
    with start_library_program(tmp_path, SLEEP) as program:
        interrupt(program, signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM, program.told
        assert program.told.count("TREEKILL RECAP [SIGTERM]") == 1, program.told


def test_a_handler_of_the_program_is_called_as_before_and_interrupts_nothing(tmp_path):
    script = """
signal.signal(signal.SIGHUP, lambda number, frame: say('reload'))
say(play({'command': 'sh -c "until test -e go; do sleep 0.1; done"'}))
os.kill(os.getpid(), signal.SIGHUP)
"""
    with start_library_program(tmp_path, script) as program:
        program.until(
            lambda: any(words[0] == "sleep" for words in program.carriers().values() if words)
        )
        program.signal(signal.SIGHUP)
        program.until(lambda: said(program) == ["reload"])
        (tmp_path / "go").touch()
        assert program.wait() == 0, program.told
        assert said(program) == ["reload", 0, "reload"]


def test_a_handler_of_the_program_that_raises_interrupts_the_run(tmp_path):
    script = f"""
class Enough(Exception): pass
def enough(number, frame): raise Enough
signal.signal(signal.SIGHUP, enough)
try:
    {SLEEP}
except Enough:
    say('caught')
"""
    with start_library_program(tmp_path, script) as program:
        interrupt(program, signal.SIGHUP)
        assert program.wait() == 0, program.told
        assert said(program) == ["caught"]
        assert "TREEKILL RECAP [SIGHUP]" in program.told, program.told


def test_a_fork_of_another_thread_while_the_guardian_is_started_outlives_a_killed_program(tmp_path):
    script = f"""
import threading
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import guardian_process
def work():
    import time
    open('works', 'w').write(str(os.getpid()))
    time.sleep(7200)
ensure = guardian_process.ensure
def ensure_meanwhile(*arguments):
    thread = threading.Thread(target=multiprocessing.get_context('fork').Process(target=work).start)
    thread.start()
    thread.join()
    return ensure(*arguments)
guardian_process.ensure = ensure_meanwhile
{SLEEP}
"""
    with start_library_program(tmp_path, script) as program:
        program.until(
            lambda: (
                program.running("sleep", "7200")
                and (tmp_path / "works").exists()
                and (tmp_path / "works").read_text()
            )
        )
        program.process.kill()
        program.process.wait()
        program.until(lambda: not program.running("sleep", "7200"))
        program.until(lambda: not list(tmp_path.glob("treekill-*")))
        assert int((tmp_path / "works").read_text()) in program.carriers()


def test_children_of_the_program_outlive_an_interrupted_run_and_a_killed_program(tmp_path):
    script = f"""
def work():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.execvp('sleep', ['sleep', '7300'])
def work_in_python():
    import time
    open('works', 'w').write(str(os.getpid()))
    time.sleep(7200)
def fork(call):
    multiprocessing.get_context('fork').Process(target=call).start()
fork(work)
try:
    {SLEEP}
except KeyboardInterrupt:
    say('caught')
from ansible.plugins import callback
fork(work)
import threading
threading.Timer(0.1, fork, (work_in_python,)).start()
{SLEEP}
"""
    with start_library_program(tmp_path, script) as program:
        program.until(lambda: program.running("sleep", "7300"))
        interrupt(program)
        program.until(lambda: said(program) == ["caught"])
        program.until(
            lambda: (
                len(program.running("sleep", "7300")) == 2
                and program.running("sleep", "7200")
                and (tmp_path / "works").exists()
            )
        )
        program.process.kill()
        program.process.wait()
        program.until(lambda: not program.running("sleep", "7200"))
        # A guardian that has gone has ended all that it ends.
        program.until(lambda: not list(tmp_path.glob("treekill-*")))
        assert len(program.running("sleep", "7300")) == 2
        assert int((tmp_path / "works").read_text()) in program.carriers()


@pytest.mark.skipif(
    hasattr(TaskQueueManager, "_signal_handler"),
    reason="this ansible-core runs in no other thread than the main one",
)
def test_runs_in_a_thread_are_guarded_without_signals_and_say_so(tmp_path):
    script = """
import threading
def once():
    say(play({'debug': {'msg': 'x'}}))
for dummy in range(3):
    thread = threading.Thread(target=once)
    thread.start()
    thread.join()
    say(state()["descriptors"])
"""
    with start_library_program(tmp_path, script) as program:
        assert program.wait() == 0, program.told
        first, descriptors, *rest = said(program)
        assert rest == [first, descriptors, first, descriptors] == [0, descriptors, 0, descriptors]
        assert "this run is in a thread of its program" in program.flat()
