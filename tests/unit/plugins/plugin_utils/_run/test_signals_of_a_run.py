# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals to the main process of a run, and what is left when it ends.

Each does what it would do without the callback, or what the screen shows.
"""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.executor.process.worker import WorkerProcess
from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal

from ..program_runs import RunningProgram, start_playbook_program, start_program

SLEEP = "- {hosts: all, gather_facts: no, tasks: [{command: sleep 7200}]}"

#: It does not end on the first signal. The label is an argument of the shell.
STUBBORN = """trap "" TERM INT; while :; do sleep 1; done"""
STUBBORN_PLAY = f"""
- hosts: all
  gather_facts: no
  tasks:
    - command:
        argv: [sh, -c, '{STUBBORN}', stubborn]
"""

WAITS = "while ! test -e go; do sleep 0.1; done"

#: Seconds after which a second signal is not taken for the first one, passed on by a wrapper.
TWO_SIGNALS = 0.3

#: Signals that interrupt no run, each with a handler. One of them shows that they have come.
OTHERS = """
import os, signal
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "others"

    def v2_playbook_on_start(self, playbook):
        for number in (signal.SIGWINCH, signal.SIGALRM, signal.SIGUSR1, signal.SIGRTMIN + 1):
            signal.signal(number, self._came)
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)

    def _came(self, number, frame):
        self._display.display("signal %d came" % number)

    def v2_playbook_on_stats(self, stats):
        # The interpreter takes handlers back before it ends.
        signal.setitimer(signal.ITIMER_REAL, 0)
"""

#: It sets the handler as asyncio's add_signal_handler does.
LOOP = """
import asyncio, signal
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "loop"

    def v2_runner_on_start(self, host, task):
        self._loop = asyncio.new_event_loop()
        self._loop.add_signal_handler(signal.SIGUSR1, print)
"""

AT_EXIT = """
import atexit, time
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "at_exit"

    def __init__(self):
        super().__init__()
        atexit.register(self.flush)

    def flush(self):
        print("flushing", flush=True)
        time.sleep(3600)
"""

UPLOADER = """
import os, time
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "uploader"

    def v2_playbook_on_stats(self, stats):
        if os.fork() == 0:
            os.setsid()
            open("uploads", "w").write(str(os.getpid()))
            time.sleep(7200)
"""


#: As on a busy machine: core terminates its workers when each has taken its handler away, and has
#: not passed its signal on yet.
SLOW_WORKERS = """
import os, pathlib, signal, time
from ansible.executor.process.worker import WorkerProcess
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible.plugins.callback import CallbackBase

def until(look):
    deadline = time.monotonic() + 60
    while not look() and time.monotonic() < deadline:
        time.sleep(0.01)

def term(self, number, frame):
    signal.signal(number, signal.SIG_DFL)
    pathlib.Path(f"slow-{os.getpid()}-{number}").touch()
    until(lambda: False)

cleanup_processes = TaskQueueManager._cleanup_processes

def cleanup(self):
    for number in self.numbers:
        until(lambda: len([*pathlib.Path().glob(f"slow-*-{number}")]) == 2)
        cleanup_processes(self)
    self.numbers = ()

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "slow_workers"

    def __init__(self):
        super().__init__()
        WorkerProcess._term = term
        TaskQueueManager._cleanup_processes = cleanup
        # After INT a worker dies of the second TERM.
        TaskQueueManager.numbers = [int(number) for number in os.environ["SLOW_WORKERS"].split()]
"""


#: A worker that hands something to the main process when the signal comes, and dies of it as core's
#: workers do.
DIES_AT_WORK = """
import os, pathlib, time
from ansible.executor.process.worker import WorkerProcess
from ansible.plugins.callback import CallbackBase

def run(self):
    with self._final_q._wlock:
        pathlib.Path("handing on").touch()
        while True:
            time.sleep(0.1)

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "dies_at_work"

    def __init__(self):
        super().__init__()
        WorkerProcess._run = run
"""


#: The signal comes in a hook of the fork, when the worker has the lock.
FORKS_LATE = """
import os, pathlib, time
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "forks_late"

    def v2_runner_on_start(self, host, task):
        os.register_at_fork(after_in_parent=self.come)

    def come(self):
        while not pathlib.Path("handing on").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), int(os.environ["NUMBER"]))
"""


def until_stubborn(program: RunningProgram) -> None:
    program.until(lambda: stubborn(program))


def stubborn(program: RunningProgram) -> list[int]:
    return program.running("sh", "-c", STUBBORN, "stubborn")


def test_signals_of_other_plugins_interrupt_nothing(tmp_path):
    play = f"- {{hosts: all, gather_facts: no, tasks: [{{shell: '{WAITS}'}}]}}"
    with start_playbook_program(tmp_path, play, plugins={"others": OTHERS}) as program:
        program.until(lambda: program.running("sleep", "0.1"))
        for number in (signal.SIGWINCH, signal.SIGUSR1, signal.SIGRTMIN + 1):
            program.signal(number)
            program.until_told(f"signal {number:d} came")
        program.until_told(f"signal {signal.SIGALRM:d} came")
        (tmp_path / "go").touch()
        assert program.wait() == 0, program.told
        assert "treekill" not in program.told


def test_every_signal_is_told_though_an_event_loop_has_taken_the_wake_up_descriptor(tmp_path):
    with start_playbook_program(
        tmp_path, STUBBORN_PLAY, plugins={"loop": LOOP}, TREEKILL_KILL_TIMEOUT="3600"
    ) as program:
        until_stubborn(program)
        program.signal(signal.SIGINT)
        program.until_told("1 kill order given")
        time.sleep(TWO_SIGNALS)
        program.signal(signal.SIGINT)
        program.until(lambda: not stubborn(program))
        assert program.wait() == 99, program.told
        assert "TREEKILL RECAP [SIGINT]" in program.told


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)],
    ids=["INT", "TERM"],
)
def test_a_signal_in_the_wait_for_the_report_of_a_run_that_has_ended_by_itself_kills_at_once(
    tmp_path, number, status
):
    with start_playbook_program(tmp_path, STUBBORN_PLAY, TREEKILL_KILL_TIMEOUT="3600") as program:
        until_stubborn(program)
        (worker,) = program.children()
        os.kill(worker, signal.SIGKILL)
        program.until_told("Press Ctrl-C to send SIGKILL now, again to skip the report.")
        assert stubborn(program)
        program.signal(number)
        program.until(lambda: not stubborn(program))
        assert program.wait() == status, program.told
        assert "TREEKILL RECAP [commands that did not return]" in program.told
        assert "Traceback" not in program.told


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_what_another_plugin_does_at_exit_can_be_interrupted(tmp_path, first, second):
    with start_playbook_program(tmp_path, SLEEP, plugins={"at_exit": AT_EXIT}) as program:
        program.until(lambda: program.running("sleep", "7200"))
        program.signal(first)
        program.until_told("flushing")
        program.signal(second)
        assert program.wait(20) == -second, program.told
        assert "TREEKILL RECAP" in program.told


def test_a_fork_of_another_plugin_outlives_the_run(tmp_path):
    with start_playbook_program(
        tmp_path,
        "- {hosts: all, gather_facts: no, tasks: [{command: 'true'}]}",
        plugins={"uploader": UPLOADER},
    ) as program:
        assert program.wait() == 0, program.told
        program.until(lambda: not list(tmp_path.glob("treekill-*")))
        assert int((tmp_path / "uploads").read_text()) in program.carriers()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_what_workers_without_a_lease_have_started_here_ends_with_the_run(tmp_path, number):
    """They are lookups: core passes the signal on to its workers, or the terminal does."""
    hosts = ",".join(f"host{index}" for index in range(10))
    words = [
        "all",
        "-i",
        hosts,
        "-f",
        "10",
        "-m",
        "debug",
        "-a",
        "msg={{ lookup('pipe', 'sleep 7200') }}",
    ]
    with start_program(tmp_path, ["-m", "ansible.cli.adhoc", *words]) as program:
        program.until(lambda: len(program.running("sleep", "7200")) == 10)
        program.signal(number)
        program.until(lambda: not program.running("sleep", "7200"), 15)
        assert program.wait() == (99 if number == signal.SIGINT else -number), program.told
        assert "will be terminated" not in program.flat()


@pytest.mark.skipif(
    not hasattr(WorkerProcess, "_term"),
    reason="the workers of this ansible-core pass on no signals",
)
@pytest.mark.parametrize(
    ("number", "works"),
    [
        (signal.SIGINT, "sleep 7200"),
        (signal.SIGTERM, "sleep 7200"),
        (signal.SIGTERM, "while :; do sleep 0.02; done"),
    ],
    ids=["INT", "TERM", "TERM to a loop"],
)
def test_what_a_worker_has_started_here_ends_also_when_the_worker_was_too_slow_to_end_it(
    tmp_path, number, works
):
    """In a loop each command ends by itself meanwhile."""
    words = [
        "all",
        "-i",
        "one,two",
        "-m",
        "debug",
        "-a",
        f"msg={{{{ lookup('pipe', 'touch $$; {works}') }}}}",
    ]
    numbers = " ".join(
        str(int(one)) for one in ([number, signal.SIGTERM] if number == signal.SIGINT else [number])
    )
    with start_program(
        tmp_path,
        ["-m", "ansible.cli.adhoc", *words],
        plugins={"slow_workers": SLOW_WORKERS},
        SLOW_WORKERS=numbers,
    ) as program:
        program.until(lambda: len([*tmp_path.glob("[0-9]*")]) == 2)
        if works == "sleep 7200":
            # Before that, it is a shell, which reacts to INT.
            program.until(lambda: len(program.running("sleep", "7200")) == 2)
        program.signal(number)
        program.until(
            lambda: (
                not [
                    words
                    for words in program.carriers().values()
                    if words[:1] in (["sleep"], ["/bin/sh"])
                ]
            ),
            15,
        )
        assert program.wait() == (99 if number == signal.SIGINT else -number), program.told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_a_run_ends_though_a_worker_has_died_with_the_lock_of_the_results(tmp_path, number):
    """Core's main process waits for that lock before it ends.

    From ansible-core 2.19 on, it waits without the collection until it gets another signal.
    """
    play = "- {hosts: all, gather_facts: no, tasks: [{debug: {msg: hello}}]}"
    with start_playbook_program(tmp_path, play, plugins={"dies_at_work": DIES_AT_WORK}) as program:
        program.until((tmp_path / "handing on").exists)
        program.signal(number)
        assert program.wait() == (99 if number == signal.SIGINT else -number), program.told
        assert "nothing was running on any host" in program.flat()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_such_a_run_ends_also_if_the_signal_comes_while_the_worker_is_forked(tmp_path, number):
    play = "- {hosts: all, gather_facts: no, tasks: [{debug: {msg: hello}}]}"
    plugins = {"dies_at_work": DIES_AT_WORK, "forks_late": FORKS_LATE}
    with start_playbook_program(
        tmp_path, play, plugins=plugins, NUMBER=str(number.value)
    ) as program:
        assert program.wait() == (99 if number == signal.SIGINT else -number), program.told
        assert "Exception ignored" in program.told
        assert "nothing was running on any host" in program.flat()


#: Notes each signal, and cleans up by programs that ignore a second one. It goes on until it may
#: end.
CLEANS_UP = """#!/bin/sh
clean() {{
    trap 'echo twice >> {place}/came' $1
    echo $1 >> {place}/came
    sleep 1 && echo slept >> {place}/came
}}
trap 'clean INT' INT
trap 'clean TERM' TERM
trap 'clean HUP' HUP
echo there >> {place}/there
while ! test -e {place}/go; do sleep 0.1; done
echo ended >> {place}/ended
"""


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["INT", "TERM", "HUP"]
)
def test_what_has_had_the_signal_of_the_terminal_does_not_get_another_one(tmp_path, number):
    """It cleans up, and may take a second one for the order to leave that.

    Before ansible-core 2.19 it is in the group of the main process.
    """
    (tmp_path / "cleans").write_text(CLEANS_UP.format(place=tmp_path))
    (tmp_path / "cleans").chmod(0o700)
    words = [
        "all",
        "-i",
        "one,two",
        "-m",
        "debug",
        "-a",
        f"msg={{{{ lookup('pipe', '{tmp_path}/cleans') }}}}",
    ]
    with start_program(tmp_path, ["-m", "ansible.cli.adhoc", *words]) as program:
        program.until(lambda: lines(tmp_path / "there") == ["there"] * 2)
        os.killpg(program.process.pid, number)
        program.wait()
        program.until(lambda: not list(tmp_path.glob("treekill-*")))
        (tmp_path / "go").touch()
        program.until(lambda: lines(tmp_path / "ended") == ["ended"] * 2)
        # Where workers pass the signal on, core may terminate one before it has.
        passes_on = hasattr(WorkerProcess, "_term")
        name = "TERM" if passes_on and number != signal.SIGINT else number.name.removeprefix("SIG")
        came = lines(tmp_path / "came")
        assert came == [name] * (len(came) // 2) + ["slept"] * (len(came) // 2)
        assert passes_on or len(came) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
@pytest.mark.parametrize(
    "waits", ["while :; do sleep 0.02; done", "sleep 7200 & wait"], ids=["loop", "background"]
)
def test_what_starts_others_all_the_time_has_not_had_the_signal_of_the_main_process_alone(
    tmp_path, number, waits
):
    """The end of one of them shows nothing: each of them ends after a moment."""
    if number == signal.SIGINT and waits.endswith("wait"):
        pytest.skip("a shell has what it puts into the background ignore INT")
    (tmp_path / "works").write_text(f"#!/bin/sh\necho there >> {tmp_path}/there\n{waits}\n")
    (tmp_path / "works").chmod(0o700)
    words = [
        "all",
        "-i",
        "one,two",
        "-m",
        "debug",
        "-a",
        f"msg={{{{ lookup('pipe', '{tmp_path}/works') }}}}",
    ]
    with start_program(tmp_path, ["-m", "ansible.cli.adhoc", *words]) as program:
        program.until(lambda: lines(tmp_path / "there") == ["there"] * 2)
        program.signal(number)
        program.wait()
        program.until(lambda: not program.carriers(), 15)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_a_run_that_was_stopped_and_goes_on_is_guarded_as_before(tmp_path):
    """Ctrl-Z and `fg`."""
    with start_playbook_program(tmp_path, SLEEP) as program:
        program.until(lambda: program.running("sleep", "7200"))
        program.signal(signal.SIGSTOP)
        program.signal(signal.SIGINT)
        program.signal(signal.SIGCONT)
        assert program.wait() == 99, program.told
        assert not program.running("sleep", "7200")
        assert "survivors 0" in program.told


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose name leaves room for that of a socket.

    With a long one the guardian has its directory elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="tk-", dir="/tmp") as directory:
        yield Path(directory)


#: A job that the run leaves on purpose, a moment for the test, and a task before which the main
#: process looks for its guardian.
LEAVES_A_JOB = f"""
- hosts: all
  gather_facts: no
  tasks:
    - {{command: sleep 7203, async: 7200, poll: 0}}
    - shell: '{WAITS}'
    - command: 'true'
"""


def test_a_job_that_a_run_has_left_lives_on_though_the_guardian_that_knows_of_it_was_lost_sight_of(
    short_path,
):
    with start_playbook_program(short_path, LEAVES_A_JOB, TREEKILL_KILL_ASYNC="true") as program:
        program.until(lambda: program.running("sleep", "7203") and program.running("sleep", "0.1"))
        for path in short_path.glob("treekill-*/socket"):
            path.unlink()
        (short_path / "go").touch()
        assert program.wait() == 0, program.told
        assert "its socket was removed" in program.flat()
        # Both guardians are gone, and with them all that they may have had to do.
        program.until(
            lambda: (
                not [
                    words
                    for words in program.carriers().values()
                    if "ansible.cli.playbook" in words
                ]
            )
        )
        assert program.running("sleep", "7203")
        (entry,) = journal.entries(str(short_path / "home" / "treekill" / "journal"))
        assert (entry.state, entry.cause, entry.open_hosts()) == ("finished", "", {})


@pytest.mark.parametrize(
    "tasks",
    [
        f"{{raw: 'touch there; {WAITS}'}}",
        f"{{shell: 'touch there; {WAITS}', async: 7200, poll: 0}}, {{raw: '{WAITS}'}}",
    ],
    ids=["task", "job"],
)
def test_a_run_that_has_come_to_its_own_end_without_any_guardian_has_left_nothing_open(
    short_path, tasks
):
    """A worker could not report the return of its command.

    No other guardian could be started.
    """
    with start_playbook_program(
        short_path, f"- {{hosts: all, gather_facts: no, tasks: [{tasks}]}}"
    ) as program:
        program.until(lambda: (short_path / "there").exists() and program.running("sleep", "0.1"))
        (path,) = short_path.glob("treekill-*/lock")
        guardian = int(path.read_text())
        with path.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.kill(guardian, signal.SIGKILL)
            # While it lives, the kernel takes what is sent to it, and nothing reads that.
            program.until(lambda: not os.path.exists(f"/proc/{guardian}"))
            (short_path / "go").touch()
            assert program.wait() == 0, program.told
        (entry,) = journal.entries(str(short_path / "home" / "treekill" / "journal"))
        assert (entry.state, entry.open_hosts()) == ("finished", {})
