# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs of a task are no processes of its tree: they are named, and left alone.

Each row has a bystander of its own kind, which nothing may touch. A container that the task has
started in the foreground is stopped, if there is evidence that it is the task's own.
"""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.integration.connections import docker, podman
from tests.integration.modules.asking import ask
from tests.integration.output.records import REPORT, wait_for_whole_report
from tests.support.coverage import covers
from tests.support.hosts import Host, HostsError, KindUnavailable, Lab, ProcessId
from tests.support.hosts.errors import PackagesMissing
from tests.support.hosts.processes import all_pids
from tests.support.hosts.programs import call
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, INT

#: What the task hands off, what others have handed off before, and what holds the task up.
MINE, OTHERS, HOLD = "sleep 7301", "sleep 7302", "sleep 7303"

#: The same in containers, whose processes are seen here beside those of the hosts.
MINE_INSIDE, OTHERS_INSIDE = "sleep 7304", "sleep 7305"

#: Of the table of what is covered.
SECTION = "Hand-offs"

HEADING = "May go on elsewhere"

#: Programs that the usual test hosts lack.
_PACKAGES = ("at", "cron", "rsync", "screen", "tmux")

_UNIT = f"[Service]\nType=oneshot\nExecStart=/usr/bin/{MINE}\n"


@dataclasses.dataclass(frozen=True)
class Row:
    """A kind of hand-off, on web1."""

    name: str
    #: Of the shell task.
    script: str
    #: As the report has it, without `kind`, and without `state` where it is left.
    named: Mapping[str, Any]
    kind: str
    #: Run as the task's user on web1 before the task: the bystander.
    before: str = ""
    #: Prints what the task has handed off, and what others have. Run as root on `place`.
    count: str = f"pgrep -fx '(/usr/bin/)?({MINE}|{OTHERS})' -a"
    place: str = "web1"
    #: Run as root afterwards.
    after: str = f"pkill -fx '{MINE}|{OTHERS}'"
    become: bool = False
    kept: int = 2

    @property
    def elsewhere(self) -> dict[str, Any]:
        """The entry of the report."""
        return {"kind": self.kind, "state": "left", **self.named}


ROWS = (
    Row(
        "ssh",
        f"ssh web2 {MINE}",
        {"program": "ssh", "what": "web2", "look": "ssh web2 ps -ef", "seen": True},
        "host",
        before=f"setsid --fork ssh web2 {OTHERS} < /dev/null > /dev/null 2>&1",
        place="web2",
    ),
    Row(
        "ssh with an option behind the host",
        f"ssh web2 -l ansible {MINE}",
        {"program": "ssh", "what": "web2", "look": "ssh -l ansible web2 ps -ef", "seen": True},
        "host",
        before=f"setsid --fork ssh web2 {OTHERS} < /dev/null > /dev/null 2>&1",
        place="web2",
    ),
    Row(
        "rsync",
        f"rsync --rsync-path='{MINE}; rsync' /etc/hostname web2:/tmp/name",
        {"program": "rsync", "what": "web2", "look": "ssh web2 ps -ef", "seen": True},
        "host",
        before=f"setsid --fork ssh web2 {OTHERS} < /dev/null > /dev/null 2>&1",
        place="web2",
    ),
    Row(
        "at",
        f"echo {MINE} | at now + 1 hour; {HOLD}",
        {"program": "at", "what": "a job of at", "look": "atq", "seen": False},
        "queue",
        before=f"echo {OTHERS} | at now + 1 hour",
        count="atq",
        after="atrm $(atq | cut -f 1)",
    ),
    Row(
        "at, whose output the task takes",
        f'job="$(echo {MINE} | at now + 1 hour 2>&1)"; {HOLD}',
        {"program": "at", "what": "a job of at", "look": "atq", "seen": False},
        "queue",
        before=f"echo {OTHERS} | at now + 1 hour",
        count="atq",
        after="atrm $(atq | cut -f 1)",
    ),
    Row(
        "batch",
        f"echo {MINE} | batch; {HOLD}",
        {"program": "batch", "what": "a job of batch", "look": "atq", "seen": False},
        "queue",
        before=f"echo {OTHERS} | batch",
        count="atq",
        after="atrm $(atq | cut -f 1)",
    ),
    Row(
        "crontab",
        f"(crontab -l; echo '0 0 1 1 * {MINE}') | crontab -; {HOLD}",
        {"program": "crontab", "what": "a crontab", "look": "crontab -l", "seen": False},
        "queue",
        before=f"echo '0 0 1 1 * {OTHERS}' | crontab -",
        count="crontab -u ansible -l",
        after="crontab -u ansible -r",
    ),
    Row(
        "tmux",
        f"tmux new-session -d -s mine {MINE}; {HOLD}",
        {"program": "tmux", "what": "tmux mine", "look": "tmux ls", "seen": False},
        "terminal",
        before=f"tmux new-session -d -s others {OTHERS}",
    ),
    Row(
        "screen",
        f"screen -S others -X screen {MINE}; {HOLD}",
        {"program": "screen", "what": "screen others", "look": "screen -ls", "seen": False},
        "terminal",
        before=f"screen -dmS others {OTHERS}",
    ),
)

UNITS = (
    Row(
        "systemd-run",
        f"systemd-run --unit=job {MINE}; {HOLD}",
        {"program": "systemd-run", "what": "job", "look": "systemctl status job", "seen": False},
        "unit",
        before=f"systemd-run --unit=others {OTHERS}",
        become=True,
    ),
    Row(
        "systemd-run --wait",
        f"systemd-run --wait --unit=job {MINE}",
        {"program": "systemd-run", "what": "job", "look": "systemctl status job", "seen": True},
        "unit",
        before=f"systemd-run --unit=others {OTHERS}",
        become=True,
    ),
    Row(
        "systemctl start",
        "systemctl start mine.service",
        {
            "program": "systemctl",
            "what": "mine.service",
            "look": "systemctl status mine.service",
            "seen": True,
        },
        "unit",
        before=f"systemd-run --unit=others {OTHERS}",
        become=True,
    ),
)

#: Rows whose control is always run.
USUAL = ("ssh", "tmux")


@pytest.fixture(scope="module")
def furnished(orderly_end: None) -> Iterator[Lab]:
    """Two hosts with the programs of the rows. web1 can log in to web2."""
    try:
        lab = Lab.up(count=2, kind="namespace", packages=_PACKAGES)
    except (KindUnavailable, PackagesMissing, HostsError) as reason:
        pytest.skip(str(reason))
    with lab:
        lab["web1"].run(["mkdir", "-m", "1777", "/run/screen"])
        home = lab["web1"].root / "home/ansible/.ssh"
        shutil.copy(lab.key, home / "id_ed25519")
        (home / "config").write_text("Host *\n  StrictHostKeyChecking no\n  LogLevel ERROR\n")
        lab["web1"].run(["chown", "-R", "ansible:", "/home/ansible/.ssh"])
        yield lab


@pytest.fixture(scope="module")
def booted(orderly_end: None) -> Iterator[Lab]:
    """A host with systemd."""
    try:
        lab = lab_or_skip(1, systemd=True)
    except HostsError as reason:
        pytest.skip(f"no host with systemd: {reason}")
    with lab:
        (lab["web1"].root / "etc/systemd/system/mine.service").write_text(_UNIT)
        lab["web1"].run(["systemctl", "daemon-reload"])
        yield lab


def play_of(script: str, **more: Any) -> Play:
    """Return a play whose only task runs the script."""
    return Play(
        [{"name": "Hand off", "ansible.builtin.shell": script}],
        options={"kill_timeout": 1, "report_path": REPORT},
        **more,
    )


def elsewhere_of(run: Run) -> list[dict[str, Any]]:
    """Return what the report of an interrupted run has about hand-offs."""
    (tree,) = wait_for_whole_report(run)["trees"]
    found: list[dict[str, Any]] = tree["report"]["elsewhere"]
    return found


def lines_of(host: Host, script: str) -> list[str]:
    """Return the lines that a script prints there, as root."""
    return host.run(["sh", "-c", script], check=False).stdout.splitlines()


def assert_named(run: Run, row: Row) -> None:
    """Assert that recap and report name what the row has handed off, and nothing else."""
    assert elsewhere_of(run) == [row.elsewhere], run.story
    assert HEADING in run.errors, run.story
    begun = "" if row.named["seen"] else ", if it had begun"
    line = rf"{begun}: {row.named['what']}; look: {row.named['look']}"
    assert any(line in one for one in run.errors.splitlines()), run.story


def shown(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """Return the mark of a test of these rows."""
    return pytest.mark.parametrize(
        "row",
        [
            pytest.param(row, id=row.name, marks=covers(SECTION, row.name, "interrupt"))
            for row in rows
        ],
    )


@shown(ROWS)
def test_what_was_handed_off_is_named_and_left_alone(furnished: Lab, row: Row) -> None:
    play_hand_off(furnished, row)


@shown(UNITS)
def test_a_unit_is_named_and_left_alone(booted: Lab, row: Row) -> None:
    play_hand_off(booted, row)


def play_hand_off(lab: Lab, row: Row) -> None:
    """Interrupt a task that has handed something off, beside something of others."""
    host, place = lab["web1"], lab[row.place]
    user = None if row.become else "ansible"
    host.run(["sh", "-c", row.before], user=user)
    try:
        until(lambda: len(lines_of(place, row.count)) == 1, 20, f"no bystander of {row.name}")
        with started(lab, play_of(row.script, keywords={"become": row.become})) as run:
            until(
                lambda: len(lines_of(place, row.count)) == row.kept,
                60,
                lambda: f"{lines_of(place, row.count)}\n{run.story}",
            )
            if not row.named["seen"]:
                until(lambda: host.processes(HOLD), 20, lambda: run.story)
            INT.fire(run, lab)
            assert run.wait(60) == INT.status, run.story
            assert not host.processes(f"^{HOLD}"), run.story
            assert len(lines_of(place, row.count)) == row.kept, run.story
            assert_named(run, row)
            look = host.run(["sh", "-c", row.named["look"]], user=user, check=False)
            shown = look.stdout + look.stderr
            assert look.stdout, f"{row.named['look']} shows nothing: {shown}"
    finally:
        host.run(["systemctl", "stop", "mine", "job", "others"], check=False)
        for one in lab:
            one.run(["sh", "-c", row.after], check=False)


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=[] if row.name in USUAL else rest) for row in ROWS]
)
def test_without_a_client_nothing_is_named(furnished: Lab, row: Row) -> None:
    """The control: what others have handed off is no matter of the task."""
    host = furnished["web1"]
    host.run(["sh", "-c", row.before], user="ansible")
    try:
        with started(furnished, play_of(HOLD)) as run:
            until(lambda: host.processes(f"^{HOLD}"), 60, lambda: run.story)
            INT.fire(run, furnished)
            assert run.wait(60) == INT.status, run.story
            assert elsewhere_of(run) == []
            assert HEADING not in run.errors, run.story
    finally:
        for one in furnished:
            one.run(["sh", "-c", row.after], check=False)


def test_a_terminal_server_of_the_task_itself_is_ended(furnished: Lab) -> None:
    """No server was there before: the new one is in the tree."""
    host = furnished["web1"]
    with started(furnished, play_of(f"tmux new-session -d -s mine {MINE}; {HOLD}")) as run:
        until(lambda: host.processes(f"^{MINE}"), 60, lambda: run.story)
        until(lambda: host.processes(f"^{HOLD}"), 60, lambda: run.story)
        INT.fire(run, furnished)
        assert run.wait(60) == INT.status, run.story
        assert not host.processes(f"^({MINE}|{HOLD}|tmux)"), run.story
        assert elsewhere_of(run) == []


@pytest.mark.parametrize("spared", [False, True], ids=["", "spared"])
def test_a_job_of_at_that_has_begun_is_ended_unless_it_is_spared(
    furnished: Lab, spared: bool
) -> None:
    """It has the environment of its task, with the cookie."""
    host = furnished["web1"]
    host.run(["atd"])
    at = "TREEKILL=spare at now" if spared else "at now"
    try:
        with started(furnished, play_of(f"echo {MINE} | {at}; {HOLD}")) as run:
            until(lambda: host.processes(f"^{MINE}"), 60, lambda: run.story)
            INT.fire(run, furnished)
            assert run.wait(60) == INT.status, run.story
            assert bool(host.processes(f"^{MINE}")) is spared, run.story
            assert [one["what"] for one in elsewhere_of(run)] == ["a job of at"], run.story
    finally:
        host.run(["pkill", "-x", "atd"], check=False)
        host.run(["sh", "-c", f"pkill -fx '{MINE}'"], check=False)


def test_a_task_with_no_log_names_only_the_program(furnished: Lab) -> None:
    lab, host = furnished, furnished["web2"]
    play = play_of(f"ssh web2 {MINE}", keywords={"no_log": True})
    with started(lab, play) as run:
        until(lambda: host.processes(f"^{MINE}"), 60, lambda: run.story)
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        (found,) = elsewhere_of(run)
        assert (found["program"], found["what"], found["look"]) == ("ssh", "ssh", "")
    host.run(["pkill", "-fx", MINE], check=False)


def test_a_cookie_that_goes_along_to_a_second_host_leads_there_by_hand(furnished: Lab) -> None:
    """A kill order goes to the host of its lease alone, also if the second host is in the run."""
    lab, place = furnished, furnished["web2"]
    sshd = place.root / "etc/ssh/sshd_config"
    sshd.write_text(f"AcceptEnv TREEKILL\n{sshd.read_text()}")
    place.run(["pkill", "-HUP", "-o", "-x", "sshd"])
    hop = f"ssh -o SendEnv=TREEKILL web2 {MINE}"
    text = f"{{{{ '{hop}' if inventory_hostname == 'web1' else '{HOLD}' }}}}"
    with started(lab, play_of(text, hosts=("web1", "web2"))) as run:
        until(
            lambda: place.processes(f"^{MINE}") and place.processes(f"^{HOLD}"),
            60,
            lambda: run.story,
        )
        (mine,) = place.processes(f"^{MINE}")
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert mine.id.alive(), run.story
        interrupted = wait_for_whole_report(run)["run"]
    # No root of the command is on that host.
    done = ask(lab, place, "process_tree_kill", run=interrupted, left_behind=True)
    assert not mine.id.alive(), done


# Containers, on this machine: the task runs over the connection `local`.


@dataclasses.dataclass(frozen=True)
class Engine:
    """An engine of the tests' own, with a container of others in it."""

    client: Sequence[str]
    other: str
    #: Options of `run` that its containers need on every machine.
    options: str
    #: Words of the client in a task. With this environment they lead to the engine.
    inside: Sequence[str]
    environ: Mapping[str, str]

    def command(self, words: str) -> str:
        """Return a command line of its client in a task."""
        return f"{shlex.join(self.inside)} {words}"

    def look(self, command: str) -> list[str]:
        """Return the lines that a command to look prints."""
        words = [f"{name}={value}" for name, value in self.environ.items()]
        return call(["env", *words, *shlex.split(command)]).splitlines()

    def running(self) -> list[str]:
        """Return the names of the containers that run, as the engine has it."""
        return call([*self.client, "ps", "--format", "{{.Names}}"]).split()


def engine_of(module: ModuleType, options: str) -> Iterator[Engine]:
    """Start the engine with one container. Skip if there can be none."""
    try:
        with module.containers(1) as (directory, hosts):
            client = module.client(directory)
            # The default daemon of a client is the only one that is asked.
            by_name = client[:2] == ["docker", "--host"]
            yield Engine(
                client,
                hosts[0].address,
                f"--network=none {options}",
                client[:1] if by_name else client,
                {"DOCKER_HOST": client[2]} if by_name else {},
            )
    except (KindUnavailable, PackagesMissing) as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def dockerd(orderly_end: None) -> Iterator[Engine]:
    """A dockerd with a container."""
    yield from engine_of(docker, "")


@pytest.fixture(scope="module")
def podman_engine(orderly_end: None) -> Iterator[Engine]:
    """The storage of podman with a container."""
    yield from engine_of(podman, "--ulimit=nofile=1024:4096 --ulimit=nproc=4096:4096")


def here(command: str) -> list[ProcessId]:
    """Return the processes of this machine, containers included, with this command line."""
    found = []
    for pid in all_pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue  # It has ended.
        if words == command.replace(" ", "\0").encode() + b"\0":
            found.append(ProcessId.of(pid))
    return found


#: A first process of a container that ignores TERM, as each does that does not handle it.
DEAF = f"tests {MINE_INSIDE}"


def play_container(
    lab: Lab,
    engine: Engine,
    words: str,
    then: Callable[[Run], None],
    before: Callable[[], object] = str,
    **variables: Any,
) -> None:
    """Interrupt a task that runs a client of the engine, and look at what is left.

    `before`: what others do right before the interruption.
    """
    local = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        **variables,
    }
    play = play_of(engine.command(words), host_variables={"web1": local}, environ=engine.environ)
    others = {engine.other, "mine-too"}
    until(lambda: not {*engine.running()} - others, 60, "a container of an earlier row runs")
    try:
        with started(lab, play) as run:
            until(lambda: here(MINE_INSIDE), 60, lambda: run.story)
            # Before the engine itself knows that a container runs, it passes on no signal.
            until(
                lambda: words.startswith("exec") or {*engine.running()} - others,
                60,
                lambda: run.story,
            )
            before()
            INT.fire(run, lab)
            assert run.wait(90) == INT.status, run.story
            then(run)
            assert engine.other in engine.running(), run.story
    finally:
        for process in here(MINE_INSIDE):
            process.kill()
        call(["sh", "-c", shlex.join([*engine.client, "rm", "--force", "mine"]) + " || :"])


@covers(SECTION, "docker run with a name, which is stopped", "interrupt")
def test_a_container_of_docker_in_the_foreground_is_stopped(lab: Lab, dockerd: Engine) -> None:
    """Its first process ignores TERM, and outlives its client."""

    def then(run: Run) -> None:
        assert not here(MINE_INSIDE), run.story
        (found,) = elsewhere_of(run)
        assert (found["kind"], found["program"], found["state"]) == (
            "container",
            "docker",
            "stopped",
        ), run.story
        assert "stopped a container by docker stop" in run.errors, run.story
        assert HEADING not in run.errors, run.story

    play_container(lab, dockerd, f"run --rm --name mine {dockerd.options} {DEAF}", then)


def test_a_second_ctrl_c_ends_a_container_of_docker_at_once(lab: Lab, dockerd: Engine) -> None:
    """Its client waits for it, so the first pass is still in its grace period."""
    play = Play(
        [
            {
                "name": "Hand off",
                "ansible.builtin.shell": dockerd.command(
                    f"run --rm --name mine {dockerd.options} {DEAF}"
                ),
            }
        ],
        options={"kill_timeout": 120, "report_path": REPORT},
        host_variables={
            "web1": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "/usr/bin/python3",
            }
        },
        environ=dockerd.environ,
        terminal=True,
    )
    try:
        with started(lab, play) as run:
            until(lambda: "mine" in dockerd.running(), 60, lambda: run.story)
            run.press_ctrl_c()
            until(lambda: "Ctrl-C again" in run.output, 20, lambda: run.story)
            first = time.monotonic()
            # Two within a moment count as one.
            until(lambda: time.monotonic() > first + 1, 5, "")
            assert here(MINE_INSIDE), run.story
            run.press_ctrl_c()
            assert run.wait(60) == CTRL_C.status, run.story
            assert not here(MINE_INSIDE), run.story
            assert [one["state"] for one in elsewhere_of(run)] == ["stopped"], run.story
            assert dockerd.other in dockerd.running(), run.story
    finally:
        call(["sh", "-c", shlex.join([*dockerd.client, "rm", "--force", "mine"]) + " || :"])


def test_a_container_of_docker_that_ends_with_its_client_is_not_named(
    lab: Lab, dockerd: Engine
) -> None:
    """The client passes the signal on."""

    def then(run: Run) -> None:
        assert not here(MINE_INSIDE), run.story
        left = [one for one in elsewhere_of(run) if one["state"] == "left"]
        assert left == [], f"{left}\n{run.story}"

    play_container(lab, dockerd, f"run --init --name mine {dockerd.options} {DEAF}", then)


#: The words for docker and how they are named, by the subject that the row covers.
LEFT = {
    "docker run without a name": ("run {options} " + DEAF, "docker run of image tests"),
    "docker run --cidfile": (
        "run --cidfile {folder}/id {options} " + DEAF,
        "docker run of image tests",
    ),
    "docker --host run": (
        "--host {host} run --name mine {options} " + DEAF,
        "docker run mine --host {host}",
    ),
    "docker run --sig-proxy=false": (
        "run --sig-proxy=false --name mine {options} " + DEAF,
        "docker run mine",
    ),
    "docker run --detach": (
        "run --detach --name mine {options} " + DEAF + "; " + HOLD,
        "docker run mine",
    ),
    "docker exec": ("exec {other} " + MINE_INSIDE, "docker exec in {other}"),
}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        pytest.param(*words, id=name, marks=covers(SECTION, name, "interrupt"))
        for name, words in LEFT.items()
    ],
)
def test_a_container_of_docker_without_evidence_is_named_and_left_alone(
    lab: Lab, dockerd: Engine, tmp_path: Path, words: str, what: str
) -> None:
    """A false stop is worse than a survivor. No file and no socket of a job is used."""
    parts = {
        "folder": tmp_path,
        "host": dockerd.environ["DOCKER_HOST"],
        "options": dockerd.options,
        "other": dockerd.other,
    }

    def then(run: Run) -> None:
        assert here(MINE_INSIDE), run.story
        (found,) = elsewhere_of(run)
        assert (found["what"], found["state"]) == (what.format(**parts), "left")
        assert HEADING in run.errors, run.story
        if "--host" in found["what"]:
            assert found["look"] == ""
        else:
            assert dockerd.look(found["look"])[1:], found["look"]

    play_container(lab, dockerd, words.format(**parts), then)


def test_a_container_of_others_with_a_longer_name_is_not_stopped(lab: Lab, dockerd: Engine) -> None:
    """Others send it the same signal at the same time, and the task's own gets none."""
    longer = ["run", "--detach", "--name", "mine-too", *dockerd.options.split(), "tests"]
    call([*dockerd.client, *longer, *OTHERS_INSIDE.split()])

    def then(run: Run) -> None:
        assert here(OTHERS_INSIDE), run.story
        assert [one["state"] for one in elsewhere_of(run)] == ["left"], run.story

    words = f"run --sig-proxy=false --name mine {dockerd.options} {DEAF}"
    others = [*dockerd.client, "kill", "--signal", "TERM", "mine-too"]
    try:
        play_container(lab, dockerd, words, then, before=lambda: call(others))
    finally:
        call([*dockerd.client, "rm", "--force", "mine-too"])


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            words,
            id=name,
            marks=covers(SECTION, f"podman {name}, which is ended with the tree", "interrupt"),
        )
        for name, words in {
            "run": "run --name mine {options} " + DEAF,
            "run --detach": "run --detach --name mine {options} " + DEAF + "; " + HOLD,
            "exec": "exec {other} " + MINE_INSIDE,
        }.items()
    ],
)
def test_a_container_of_podman_is_ended_with_the_tree(
    lab: Lab, podman_engine: Engine, words: str
) -> None:
    """Its monitor is an orphan below the supervisor, and has the container below it."""

    def then(run: Run) -> None:
        assert not here(MINE_INSIDE), run.story
        assert elsewhere_of(run) == [], run.story
        assert HEADING not in run.errors, run.story

    engine = podman_engine
    play_container(lab, engine, words.format(options=engine.options, other=engine.other), then)


def test_without_a_supervisor_a_container_of_podman_is_named(
    lab: Lab, podman_engine: Engine
) -> None:
    """Its monitor has no cookie, and no parent in the tree."""

    def then(run: Run) -> None:
        assert here(MINE_INSIDE), run.story
        (found,) = elsewhere_of(run)
        # A report has 240 characters of a command line: perhaps the name is beyond them.
        assert found["what"] in ("podman run mine", "podman"), run.story
        assert (found["program"], found["state"]) == ("podman", "left"), run.story

    words = f"run --name mine {podman_engine.options} {DEAF}"
    play_container(lab, podman_engine, words, then, treekill_supervise=False)
