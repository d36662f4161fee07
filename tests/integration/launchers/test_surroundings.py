# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The surroundings of a run: pipes, a terminal, nohup, and the patience of a CI system.

The tests show what a user then sees.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import controller, tasks
from tests.support.run.control import BEFORE_2_19
from tests.support.run.play import FrontEnd, Setting, earlier_label
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays, until
from tests.support.trees import tree
from tests.support.trees.table import rest

from . import ends, fronts

#: Seconds for which it is watched that nothing happens.
WATCH = 1.5


def _small(front: FrontEnd | None, **more: object) -> Setting:
    return Setting(front=front, hosts=1, pipelining=True, kinds=tree.COOPERATIVE, **more)  # type: ignore[arg-type]


def wait_until_only_the_daemon_is_left(
    run: Run, hosts: Sequence[Host], seconds: float = tasks.KILL_SECONDS
) -> None:
    """Return when no process of the run is alive there but the daemon that its first task left."""

    def left() -> list[str]:
        return [line for host in hosts for line in tasks.alive(run, host)]

    until(
        lambda: (
            len(left()) == len(hosts) and all(earlier_label(run.row) in line for line in left())
        ),
        seconds,
        lambda: f"alive: {left()}\n{run.story}",
    )


@rest
def test_a_hang_up_under_nohup_ends_nothing(lab: Lab) -> None:
    """nohup ignores it, and the callback leaves it so; then TERM."""
    host = lab["web1"]
    with started(lab, _small(fronts.NOHUP), collection=True) as run:
        tasks.wait_for_tree(run, [host])
        before = sorted(tasks.alive(run, host))
        run.process.send_signal(signal.SIGHUP)
        stays(
            lambda: run.process.poll() is None and sorted(tasks.alive(run, host)) == before,
            WATCH,
            f"{before}\n{run.story}",
        )
        run.process.send_signal(signal.SIGTERM)
        wait_until_only_the_daemon_is_left(run, [host])
        assert run.wait(20) == -signal.SIGTERM, run.story


def test_a_pipe_comes_to_its_end_with_the_run_while_the_guardian_goes_on(lab: Lab) -> None:
    """A host is down when the run is interrupted.

    The guardian tries for a minute, and must not hold what `| tee` reads so long.
    """
    host = lab["web1"]
    with started(
        lab,
        _small(
            fronts.TEE_BOTH, options={"kill_retry_for": 60}, ssh={"ssh_args": "-o ControlMaster=no"}
        ),
        collection=True,
    ) as run:
        tasks.wait_for_tree(run, [host])
        host.cut()
        try:
            ends.to_main(signal.SIGINT)(run, lab)
            assert run.wait(50) == 99, run.story
            assert "NOT CONFIRMED" in run.output, run.story
            assert any(
                "ansible-playbook" in process.command for process in controller.processes(run.row)
            ), f"no guardian is left\n{run.story}"
        finally:
            host.heal()
        wait_until_only_the_daemon_is_left(run, [host], 60)


#: A user's shell lives on when Ctrl-C has ended what it waited for, and so does the terminal.
_STAYS = """trap : INT; "$@"; echo "ended with $?"; read -r line"""


def _in_living_shell(front: FrontEnd) -> FrontEnd:
    return FrontEnd(
        front.name,
        lambda directory, environ: fronts.in_shell(_STAYS, *front.start(directory, environ)),
    )


def _assert_told_on_terminal(lab: Lab, front: FrontEnd, says: str) -> None:
    host = lab["web1"]
    with started(lab, _small(_in_living_shell(front)), collection=True, terminal=True) as run:
        tasks.wait_for_tree(run, [host])
        run.press_ctrl_c()
        wait_until_only_the_daemon_is_left(run, [host])
        until(
            lambda: says in run.output and "survivors 0" in run.output,
            20,
            lambda: f"it is not printed\n{run.story}",
        )
        assert "TREEKILL RECAP [SIGINT]" in run.output, run.story
        assert "Traceback" not in run.output, run.story


def test_the_recap_is_on_the_terminal_when_ctrl_c_has_ended_the_reader_of_both_streams(
    lab: Lab,
) -> None:
    """`2>&1 | tee log`: this Ctrl-C ends tee too."""
    _assert_told_on_terminal(lab, fronts.TEE_BOTH, "ended with")


@rest
def test_the_recap_is_on_the_terminal_when_ansible_pull_does_not_wait_for_it(lab: Lab) -> None:
    """ansible-pull is gone at once.

    With it goes the pipe by which it passes on the output of ansible-playbook.
    """
    _assert_told_on_terminal(lab, fronts.PULL, "ended with 99")


@rest
def test_a_run_without_a_reader_still_ends_in_good_order(lab: Lab) -> None:
    """There is no reader and no terminal. Nothing is printed or hangs, and the tree is ended."""
    host = lab["web1"]
    with started(lab, _small(fronts.TEE_BOTH), collection=True) as run:
        tasks.wait_for_tree(run, [host])
        main = ends.main_of(run)
        next(
            process for process in controller.processes(run.row) if process.command == "tee log"
        ).id.kill()
        os.kill(main.id.pid, signal.SIGTERM)
        wait_until_only_the_daemon_is_left(run, [host])
        until(lambda: not main.id.alive(), 20, lambda: f"main goes on\n{run.story}")
        assert run.wait(20) == 143, run.story
        tasks.wait_until_nothing_is_left(run)


def test_a_kill_before_the_grace_is_over_leaves_the_rest_to_the_guardian(lab: Lab) -> None:
    """A CI system has less patience than the tree.

    It sends TERM to the group, then KILL while the main process waits for the report.
    """
    host = lab["web1"]
    setting = Setting(
        front=fronts.CI,
        hosts=1,
        pipelining=True,
        kinds=(*tree.COOPERATIVE, "ignores-signals"),
        kill_timeout=3,
    )
    with started(lab, setting, collection=True) as run:
        tasks.wait_for_tree(run, [host])
        os.killpg(run.process.pid, signal.SIGTERM)
        until(
            lambda: "given; grace period" in run.errors,
            20,
            lambda: f"it does not wait\n{run.story}",
        )
        assert tasks.alive(run, host, match="tk-ignores-signals"), run.story
        os.killpg(run.process.pid, signal.SIGKILL)
        wait_until_only_the_daemon_is_left(run, [host])
        tasks.wait_until_nothing_is_left(run)


def afterwards(run: Run, lab: Lab) -> bool:
    """Whether the console has run its command after the task with the tree."""
    return (
        lab["web1"].root / fronts.AFTERWARDS.format(row=run.row).split()[-1].lstrip("/")
    ).exists()


def test_the_console_goes_on_guarded_after_an_interruption(lab: Lab) -> None:
    """Its next command is a run of its own.

    It runs, it is guarded as the first one was, and so is the one after that.
    """
    host = lab["web1"]
    with started(lab, _small(fronts.CONSOLE), collection=True) as run:
        tasks.wait_for_tree(run, [host])
        # It reads on only when a command is over: what is written there now is its next command.
        typed = run.directory / "typed"
        typed.write_text(typed.read_text() + "!" + fronts.SECOND_TREE.format(row=run.row) + "\n")
        ends.to_main(signal.SIGINT)(run, lab)
        until(
            lambda: run.errors.count("TREEKILL RECAP [SIGINT]") == 1,
            20,
            lambda: f"no recap\n{run.story}",
        )
        until(lambda: afterwards(run, lab), 30, lambda: f"it does not go on\n{run.story}")
        until(
            lambda: tasks.alive(run, host, match="second"),
            30,
            lambda: f"no second tree\n{run.story}",
        )
        ends.to_main(signal.SIGINT)(run, lab)
        wait_until_only_the_daemon_is_left(run, [host])
        until(
            lambda: run.errors.count("TREEKILL RECAP [SIGINT]") == 2,
            20,
            lambda: f"no second recap\n{run.story}",
        )
        assert run.wait(20) == 0, run.story
        tasks.wait_until_nothing_is_left(run)


#: Runs a program and reads its output, as CI systems do. It writes how long the streams stayed open
#: after its end.
_CAPTURES = """
import subprocess, sys, threading, time
run = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
def read(stream, to):
    to.write(stream.read())
readers = [threading.Thread(target=read, args=pair) for pair in (
    (run.stdout, sys.stdout.buffer), (run.stderr, sys.stderr.buffer))]
[reader.start() for reader in readers]
run.wait()
ended = time.monotonic()
[reader.join() for reader in readers]
sys.stdout.flush()
print("CAPTURED after %.3f" % (time.monotonic() - ended))
"""

#: Seconds within which a reader on a busy machine has its end of file.
_END_OF_FILE = 1.0


@pytest.mark.parametrize(
    ("number", "persist"),
    [
        (signal.SIGINT, "600"),
        pytest.param(signal.SIGINT, "no", marks=rest),
        pytest.param(signal.SIGTERM, "yes", marks=rest),
        pytest.param(
            signal.SIGKILL,
            "600",
            marks=[
                rest,
                pytest.mark.skipif(
                    BEFORE_2_19, reason="before ansible-core 2.19, workers hold the streams too"
                ),
            ],
        ),
    ],
)
def test_a_captured_output_ends_with_its_run(
    lab: Lab, number: signal.Signals, persist: str
) -> None:
    """Neither a ControlMaster nor the guardian holds the streams of the run."""
    host = lab["web1"]
    setting = _small(None, ssh={"ssh_args": f"-o ControlMaster=auto -o ControlPersist={persist}"})
    with started(lab, setting, collection=True, before=(sys.executable, "-c", _CAPTURES)) as run:
        tasks.wait_for_tree(run, [host])
        ends.to_main(number)(run, lab)
        wait_until_only_the_daemon_is_left(run, [host])
        assert run.wait(40) == 0, run.story
        waited = re.search(r"^CAPTURED after (\d+\.\d+)$", run.output, re.MULTILINE)
        assert waited, run.story
        assert float(waited[1]) < _END_OF_FILE, run.story
        tasks.wait_until_nothing_is_left(run)


#: A shell with job control, which goes on when its job has stopped.
_JOB_SHELL = ("bash", "-mc", '"$@"; read -r line', "shell")


def _is_stopped(process: ProcessId) -> bool:
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


@rest
def test_a_stopped_run_that_is_killed_leaves_nothing(lab: Lab) -> None:
    """Ctrl-Z in a shell, and then KILL."""
    host = lab["web1"]
    with started(lab, _small(None), collection=True, terminal=True, before=_JOB_SHELL) as run:
        tasks.wait_for_tree(run, [host])
        main = ends.main_of(run).id
        assert run.terminal is not None
        run.terminal.write(b"\x1a")
        until(lambda: _is_stopped(main), 10, lambda: f"it does not stop\n{run.story}")
        main.kill()
        wait_until_only_the_daemon_is_left(run, [host])


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 99), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["INT", "TERM", "HUP"],
)
@rest
def test_a_run_that_is_pid_1_ends_as_others_do(
    lab: Lab, number: signal.Signals, status: int
) -> None:
    """A process with pid 1 can't die of its own signal: so it exits, with the status of a shell."""
    host = lab["web1"]
    namespace = ("unshare", "--pid", "--mount-proc", "--fork")
    with started(lab, _small(None), collection=True, before=namespace) as run:
        tasks.wait_for_tree(run, [host])
        ends.to_main(number)(run, lab)
        wait_until_only_the_daemon_is_left(run, [host])
        assert run.wait(40) == status, run.story
        assert "survivors 0" in run.errors, run.story
