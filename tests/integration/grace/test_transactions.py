# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation that is under way is finished, whatever interrupts the run."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.modules.asking import Result, ask
from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import started
from tests.support.run.waiting import until
from tests.support.trees.triggers import (
    CTRL_C,
    CUT_NETWORK,
    INT,
    KILL,
    LOST_CLIENT,
    LOST_CONTROLLER,
    TERM,
    TIMEOUT,
)

from . import packages
from .installing import APT_GET, NEXT, WAYS, Row, each, has_gone_on, interrupt, wait_for_the_end

#: Seconds of `finish_timeout` in which a transaction that hangs is not over.
FINISH_SECONDS = 3

#: A run that is over.
RUN = "0123456789abcdef"

#: With a terminal on the host and without, also when the connection is gone.
ROWS = [
    *(
        Row(way, pipelining, trigger=trigger)
        for way in WAYS
        if way != "own sudo"
        for pipelining in (False, True)
        for trigger in (INT, CTRL_C, TERM, KILL, TIMEOUT)
    ),
    *(
        Row(way, pipelining, trigger=trigger)
        for way in WAYS
        if way not in ("own sudo", "raw")
        for pipelining in (False, True)
        for trigger in (LOST_CLIENT, LOST_CONTROLLER, CUT_NETWORK)
    ),
    *(Row("own sudo", pipelining, "no") for pipelining in (False, True)),
    *(
        Row("apt-get", pipelining, become)
        for pipelining in (False, True)
        for become in ("root, by password", "root, by su")
    ),
]

#: One of each kind is always run; the others with --every-row.
USUAL = (
    Row(),
    Row(pipelining=True),
    Row("apt-get to a log", True),
    Row("dpkg", trigger=KILL),
    Row("apt module", True, trigger=CTRL_C),
    Row("raw"),
    Row("own sudo", True, "no"),
    Row("dpkg", True, trigger=LOST_CONTROLLER),
    Row("apt module", True, trigger=CUT_NETWORK),
    Row("apt-get", False, trigger=TIMEOUT),
    Row("apt-get", True, trigger=LOST_CLIENT),
)
assert {*USUAL} <= {*ROWS}

CONTROLS = [
    Row("apt-get", finish=False),
    Row("dpkg", True, finish=False),
    Row("apt module", True, trigger=KILL, finish=False),
    Row("apt-get", True, trigger=LOST_CONTROLLER, finish=False),
    Row("apt-get", True, trigger=TIMEOUT, finish=False),
]


@pytest.fixture
def host(grace_lab: Lab) -> Iterator[Host]:
    """A host whose package database is in order before and after the test."""
    packages.skip_without_dpkg(grace_lab)
    one = grace_lab["web1"]
    packages.put_on(one)
    packages.remove(one)
    try:
        yield one
    finally:
        one.heal()
        packages.remove(one)


@each(ROWS, USUAL)
def test_an_installation_is_finished(grace_lab: Lab, host: Host, row: Row) -> None:
    """The package is installed, nothing else of the tree lives, and the next task has not begun."""
    if row.way == "apt module":
        packages.skip_without_python_apt(host)
    if row.trigger is CUT_NETWORK:
        packages.hang(host)
    with started(grace_lab, row.play()) as run:
        interrupt(run, grace_lab, host, row)
        wait_for_the_end(run, host)
        assert not packages.audit(host), run.story
        assert packages.state(host) == "install ok installed", run.story
        assert packages.has_finished(host), run.story
        if row.way != "raw" or row.pipelining:
            # A shell in a terminal of sudo's own can't be held: see docs/limits.md.
            assert not has_gone_on(run, host), run.story
        host.heal()
        run.wait(90)
        if row.trigger.guardian:
            tasks.wait_until_nothing_is_left(run)


@pytest.mark.parametrize("row", CONTROLS, ids=[row.name for row in CONTROLS])
def test_without_the_option_the_package_is_broken(grace_lab: Lab, host: Host, row: Row) -> None:
    """The control: dpkg complains, and the package is not configured."""
    if row.way == "apt module":
        packages.skip_without_python_apt(host)
    with started(grace_lab, row.play()) as run:
        interrupt(run, grace_lab, host, row)
        wait_for_the_end(run, host)
        assert packages.NAME in packages.audit(host), run.story
        assert packages.state(host) != "install ok installed", run.story
        run.wait(90)


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "tty"])
def test_a_second_ctrl_c_does_not_wait_and_does_not_kill(
    grace_lab: Lab, host: Host, pipelining: bool
) -> None:
    """The recap comes at once and names the transaction, which finishes alone."""
    row = Row("apt-get", pipelining, trigger=CTRL_C)
    with started(grace_lab, row.play()) as run:
        interrupt(run, grace_lab, host, row)
        until(lambda: "is finishing" in run.output, 20, lambda: f"no progress\n{run.story}")
        run.press_ctrl_c()
        run.wait(30)
        assert not packages.has_finished(host), run.story
        assert "left to finish: apt-get" in run.output, run.story
        wait_for_the_end(run, host)
        assert not packages.audit(host), run.story
        assert packages.state(host) == "install ok installed", run.story
        assert not has_gone_on(run, host), run.story


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "tty"])
def test_a_transaction_that_hangs_is_broken_off_and_named(
    grace_lab: Lab, host: Host, pipelining: bool
) -> None:
    """It lives until `finish_timeout` is over. Then it is ended like all else."""
    packages.hang(host)
    row = Row("apt-get", pipelining)
    play = row.play()
    with started(
        grace_lab, replace(play, options={**play.options, "finish_timeout": FINISH_SECONDS})
    ) as run:
        interrupt(run, grace_lab, host, row)
        began = time.monotonic()
        wait_for_the_end(run, host)
        assert time.monotonic() - began >= FINISH_SECONDS, run.story
        run.wait(60)
        assert re.search(
            r"BROKEN OFF in its transaction: apt-get \(pid \d+\): finish_timeout was over",
            run.errors,
        ), run.story
        assert "finished its transaction" not in run.errors, run.story
        assert packages.NAME in packages.audit(host), run.story
        tasks.wait_until_nothing_is_left(run)


@pytest.mark.parametrize(
    "other",
    [f"apt-get install --yes {packages.FILE}", f"dpkg --install {packages.FILE}"],
    ids=["apt-get", "dpkg"],
)
def test_what_waits_for_the_lock_of_another_process_is_ended(
    grace_lab: Lab, host: Host, other: str
) -> None:
    """It has changed nothing. The other process is of no run, and finishes."""
    packages.hang(host)
    host.spawn(other.split(), environ={"DEBIAN_FRONTEND": "noninteractive"})
    until(lambda: packages.has_begun(host), 40, "the other one has not begun")
    log = host.root / "tmp/waits"
    log.unlink(missing_ok=True)
    waits = f"apt-get -o DPkg::Lock::Timeout=600 install --yes {packages.FILE}"
    play = replace(
        Row(pipelining=True).play(),
        tasks=[{"name": "Wait", "ansible.builtin.shell": f"{waits} >/tmp/waits 2>&1; {NEXT}"}],
    )
    with started(grace_lab, play) as run:
        until(
            lambda: log.exists() and "held by process" in log.read_text(),
            40,
            lambda: f"it does not wait\n{run.story}",
        )
        INT.fire(run, grace_lab)
        until(
            lambda: not host.processes("Lock::Timeout"),
            20,
            lambda: f"alive: {packages.left(host)}\n{run.story}",
        )
        run.wait(60)
        assert "transaction" not in run.errors, run.story
        assert not has_gone_on(run, host), run.story
        assert host.processes(f"^{other}"), "the other one was ended"
        packages.go_on(host)
        wait_for_the_end(run, host)
        assert packages.has_finished(host)
        assert packages.state(host) == "install ok installed"


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "tty"])
def test_a_download_is_ended(grace_lab: Lab, host: Host, pipelining: bool) -> None:
    """It holds both locks, and has changed nothing."""
    server = packages.serve(host)
    try:
        downloads = f"apt-get install --yes {packages.FROM_SERVER} {packages.NAME}"
        play = replace(
            Row(pipelining=pipelining).play(),
            tasks=[{"name": "Download", "ansible.builtin.shell": f"{downloads}; {NEXT}"}],
        )
        with started(grace_lab, play) as run:
            until(
                lambda: packages.is_downloaded(host), 40, lambda: f"it has not begun\n{run.story}"
            )
            assert packages.locked(host) >= {"lock", "lock-frontend"}
            INT.fire(run, grace_lab)
            until(
                lambda: not host.processes("apt"),
                20,
                lambda: f"alive: {packages.left(host)}\n{run.story}",
            )
            run.wait(60)
            assert "transaction" not in run.errors, run.story
            assert not has_gone_on(run, host), run.story
            assert not packages.audit(host), run.story
            assert not packages.has_begun(host), run.story
    finally:
        server.id.kill()


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ({}, "finished"),
        ({"finish_timeout": 1}, "broken off"),
        ({"finish": False}, ""),
        ({"finish_programs": ["rpm"]}, ""),
    ],
    ids=["finished", "broken off", "not finished", "not named"],
)
@pytest.mark.parametrize("module", ["process_tree_kill", "run_sweep"])
def test_a_module_leaves_a_transaction_to_finish(
    grace_lab: Lab, host: Host, module: str, more: dict[str, Any], how: str
) -> None:
    """It waits for its end. Its options turn that off, and say for how long and for what."""
    packages.hang(host)
    # What a command has left whose shell is gone.
    cookie = f"{RUN}/89abcdef/4242/4241"
    root = host.spawn(
        APT_GET.split(), environ={"DEBIAN_FRONTEND": "noninteractive", "TREEKILL": cookie}
    )
    until(lambda: packages.has_begun(host), 40, "it has not begun")
    asked = {"kill_timeout": 1, **more}
    if module == "run_sweep":
        asked |= {"runs": [RUN], "left_behind": True, "journal": "ignore"}
    else:
        asked |= {"pid": root.pid, "start": root.start}
    planned = _of_kill(ask(grace_lab, host, module, check=True, **asked))
    assert (planned["found"][0].get("transaction") == "finishing") is (how != ""), planned
    assert root.id.alive()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, grace_lab, host, module, **asked)
        if how == "finished":
            # The script then takes some more seconds.
            until(lambda: host.processes("python"), 40, "the module has not begun")
            packages.go_on(host)
        told = asking.result(60)
    done = _of_kill(told)
    assert done["survivors"] == []
    [row] = [row for row in done["gone"] if row["pid"] == root.pid]
    assert row.get("transaction", "") == how
    if module == "run_sweep":
        assert (f"(transaction: {how})" in "".join(told["summary"])) is (how != ""), told
    until(lambda: not packages.left(host), 20, lambda: f"alive: {packages.left(host)}")
    assert (packages.state(host) == "install ok installed") is (how == "finished")
    assert (packages.NAME in packages.audit(host)) is (how != "finished")


def _of_kill(result: Result) -> Result:
    """Return the result of process_tree_kill, also of that which a sweep has run."""
    sweeps = result.get("sweeps", [result])
    assert len(sweeps) == 1, result
    one: Result = sweeps[0]
    return one
