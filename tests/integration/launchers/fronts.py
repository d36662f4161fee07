# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front ends, with their commands for the playbook of a row.

Some take no playbook, and get the tasks of the row.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.run import controller
from tests.support.run.play import CALLBACK, FrontEnd
from tests.support.run.run import program as core_program

from . import programs

Environ = dict[str, str]

#: The two tasks of a row, for front ends that take tasks, not playbooks: daemons that are left on
#: purpose, and the tree.
# Words that begin with a brace are taken for JSON.
_SHELL = "true; {{{{ lookup('file', '{0}') }}}}".format
_TASKS = (_SHELL("daemons.sh"), _SHELL("tree.sh"))

#: Task variables and keywords of a row do not reach them: neither of them reads a playbook.
_TASK_TIMEOUT = "--task-timeout=3600"


def playbook(directory: Path) -> list[str]:
    """Return `ansible-playbook` and its playbook."""
    return [core_program("ansible-playbook"), str(directory / "playbook.yml")]


def in_shell(text: str, *words: str) -> list[str]:
    """Return a line of shell, with `"$@"` for the words."""
    return ["bash", "-c", text, "front", *words]


def _ad_hoc(directory: Path, environ: Environ) -> Sequence[str]:
    environ["ANSIBLE_LOAD_CALLBACK_PLUGINS"] = "1"
    call = [core_program("ansible"), "targets", _TASK_TIMEOUT, "-m", "ansible.builtin.shell", "-a"]
    first, second = (shlex.join([*call, task]) for task in _TASKS)
    return in_shell(f"{first} && exec {second}")


#: Command for the console after the interrupted task: the console has to have gone on.
AFTERWARDS = "touch /tmp/afterwards-{row}"

#: Another task that lasts, with a label of the row.
SECOND_TREE = (
    "sh -c 'while :; do sleep 1; done' second-{row} & setsid sh -c 'while :; do sleep 1; done' "
    "second-{row} & wait"
)


def _console(directory: Path, environ: Environ) -> Sequence[str]:
    environ["ANSIBLE_LOAD_CALLBACK_PLUGINS"] = "1"
    lines = [*_TASKS, AFTERWARDS.format(row=environ[controller.MARK])]
    (directory / "typed").write_text("".join(f"!{line}\n" for line in lines))
    return in_shell('exec "$@" < typed', core_program("ansible-console"), "targets", _TASK_TIMEOUT)


def _pull(directory: Path, environ: Environ) -> Sequence[str]:
    repository = directory / "repository"
    repository.mkdir()
    for name in ("playbook.yml", "daemons.sh", "tree.sh"):
        shutil.copy(directory / name, repository)
    # By itself it takes the machine that it runs on for the only host, and the connection to it for
    # a local one.
    targets = json.loads((directory / "targets.json").read_text())
    targets["targets"]["vars"]["ansible_connection"] = "ssh"
    (directory / "targets.json").write_text(json.dumps(targets))
    # The checkout has an inventory of its own, the text `localhost,`.
    environ["ANSIBLE_INVENTORY_ENABLED"] = "host_list,ini,yaml"
    git = [
        "git",
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        "-C",
        str(repository),
    ]
    for words in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "--no-gpg-sign", "--message", "A playbook"],
    ):
        subprocess.run([*git, *words], check=True, stdin=subprocess.DEVNULL)
    where = [f"--url=file://{repository}", f"--directory={directory}/pulled", "--limit=targets"]
    return [core_program("ansible-pull"), *where, "playbook.yml"]


# ansible-runner.


def private_data(directory: Path, environ: Environ) -> Path:
    """Write a private data directory as its users do.

    The playbook is in `project`, and the callback is enabled in `env/envvars`.
    """
    place = directory / "private"
    for name in ("project", "env"):
        (place / name).mkdir(parents=True)
    for name in ("playbook.yml", "daemons.sh", "tree.sh"):
        shutil.copy(directory / name, place / "project")
    text = (directory / "ansible.cfg").read_text()
    line = f"callbacks_enabled = {CALLBACK}\n"
    enabled = line in text
    # If a project has an ansible.cfg, ansible-runner takes that: it starts ansible-playbook in the
    # project's directory.
    (place / "project/ansible.cfg").write_text(text.replace(line, ""))
    del environ["ANSIBLE_CONFIG"]
    (place / "env/envvars").write_text(
        json.dumps({"ANSIBLE_CALLBACKS_ENABLED": CALLBACK} if enabled else {"ANSIBLE_NOCOWS": "1"})
    )
    environ["PATH"] = programs.path_with_core()
    return place


def settings(directory: Path, **values: object) -> None:
    """Write `env/settings` of a private data directory."""
    # It asks whether it was cancelled each time that this many seconds have passed without output.
    (directory / "env/settings").write_text(json.dumps({"pexpect_timeout": 1, **values}))


def _runner(directory: Path, environ: Environ) -> Sequence[str]:
    place = private_data(directory, environ)
    settings(place)
    return [programs.program("ansible-runner"), "run", str(place), "-p", "playbook.yml"]


def _streamed_runner(directory: Path, environ: Environ) -> Sequence[str]:
    place = private_data(directory, environ)
    settings(place)
    runner = shlex.quote(programs.program("ansible-runner"))
    steps = (
        f"transmit {place} -p playbook.yml",
        f"worker --private-data-dir {directory}/worker",
        f"process {directory}/processed",
    )
    return in_shell(" | ".join(f"{runner} {step}" for step in steps))


#: ansible-runner as a library, with a cancel_callback: cancelled when the file is there.
_LIBRARY = """
import os, sys, ansible_runner
place, cancelled = sys.argv[1:]
result = ansible_runner.run(
    private_data_dir=place,
    playbook="playbook.yml",
    cancel_callback=lambda: os.path.exists(cancelled),
)
print("library:", result.status, result.rc, flush=True)
"""


def _library(directory: Path, environ: Environ) -> Sequence[str]:
    place = private_data(directory, environ)
    settings(place)
    return [
        str(Path(programs.program("ansible-runner")).with_name("python")),
        "-c",
        _LIBRARY,
        str(place),
        str(directory / "cancelled"),
    ]


def _navigator(directory: Path, environ: Environ) -> Sequence[str]:
    environ["PATH"] = programs.path_with_core()
    environ["HOME"] = str(directory)
    files = [f"--lf={directory}/navigator.log", "--pae=false"]
    return [
        programs.program("ansible-navigator"),
        "run",
        str(directory / "playbook.yml"),
        "--ee=false",
        "-m",
        "stdout",
        *files,
    ]


def _cron(directory: Path, environ: Environ) -> Sequence[str]:
    # What cron leaves of an environment, without HOME, which some other crons do not set. The rest
    # identifies the run.
    for name in [
        name
        for name in environ
        if not name.startswith("ANSIBLE_") and name not in (controller.MARK, "TMPDIR")
    ]:
        del environ[name]
    environ["PATH"] = "/usr/bin:/bin"
    return ["/bin/sh", "-c", shlex.join(playbook(directory))]


def _before(*words: str) -> FrontEnd:
    return FrontEnd(" ".join(words), lambda directory, environ: [*words, *playbook(directory)])


AD_HOC = FrontEnd("ansible", _ad_hoc)
CONSOLE = FrontEnd("ansible-console", _console)
PULL = FrontEnd("ansible-pull", _pull)
RUNNER = FrontEnd("ansible-runner run", _runner)
LIBRARY = FrontEnd("ansible-runner as library", _library)
STREAMED = FrontEnd("ansible-runner transmit, worker, process", _streamed_runner)
NAVIGATOR = FrontEnd("ansible-navigator", _navigator)
NOHUP = _before("nohup")
TIMEOUT = FrontEnd(
    "timeout 600", lambda directory, environ: ["timeout", "600", *playbook(directory)]
)
TEE = FrontEnd(
    "a pipe to tee",
    lambda directory, environ: in_shell(
        '"$@" | tee log; exit ${PIPESTATUS[0]}', *playbook(directory)
    ),
)
TEE_BOTH = FrontEnd(
    "a pipe to tee, both streams",
    lambda directory, environ: in_shell(
        '"$@" 2>&1 | tee log; exit ${PIPESTATUS[0]}', *playbook(directory)
    ),
)
CI = FrontEnd(
    "a CI job", lambda directory, environ: in_shell('"$@"; exit $?', *playbook(directory))
)
CI_EXEC = FrontEnd(
    "a CI job, with exec", lambda directory, environ: in_shell('exec "$@"', *playbook(directory))
)
CRON = FrontEnd("started as by cron", _cron)
