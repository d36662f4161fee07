# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs of the guide on CI services.

They are run and cancelled as each service does it. The lines that the guide adds to a script are
run too.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.integration.launchers import ends, fronts, programs
from tests.integration.launchers.test_surroundings import wait_until_only_the_daemon_is_left
from tests.support.hosts import Lab
from tests.support.run import tasks
from tests.support.run.play import FrontEnd, Setting
from tests.support.run.run import Run, started
from tests.support.trees import tree
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, Trigger

from .claims import Documented, block, command, runs
from .galaxy import serving

Environ = dict[str, str]

_CI = "docs/guides/ci.md"


def checkout(directory: Path, environ: Environ) -> None:
    """Make the directory of a run that of a job.

    `site.yml` and `inventory` are there, and the user has no configuration and no collection.
    """
    shutil.copy(directory / "playbook.yml", directory / "site.yml")
    (directory / "inventory").mkdir()
    shutil.copy(directory / "targets.json", directory / "inventory")
    hosts = re.search(
        r"^inventory = ([^,]+),", (directory / "ansible.cfg").read_text(), re.MULTILINE
    )
    assert hosts is not None
    shutil.copy(hosts[1], directory / "inventory/hosts")
    environ.update(HOME=str(directory), PATH=programs.path_with_core())


def in_checkout(name: str, words: Callable[[Path], list[str]], more: Mapping[str, str]) -> FrontEnd:
    """Return a program that is started there with these variables."""

    def start(directory: Path, environ: Environ) -> list[str]:
        checkout(directory, environ)
        environ.update(more)
        return words(directory)

    return FrontEnd(name, start)


def script(directory: Path, text: str) -> str:
    """Return its path."""
    (directory / "job.sh").write_text(text)
    return str(directory / "job.sh")


@contextmanager
def cancelled(lab: Lab, front: FrontEnd, trigger: Trigger) -> Iterator[Run]:
    """A job that has been cancelled in the middle of its task.

    No process of it is alive, except what it has left on purpose.
    """
    # No callback in ansible.cfg, and no options: the page has all that is needed.
    setting = Setting(front=front, hosts=1, pipelining=True, kinds=tree.COOPERATIVE)
    with started(lab, setting, collection=False, terminal=trigger.terminal) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        trigger.fire(run, lab)
        wait_until_only_the_daemon_is_left(run, [lab["web1"]])
        tasks.wait_until_nothing_is_left(run)
        yield run


def of_github(job: str) -> tuple[str, Environ]:
    """Return the script of the one step with a `run:`, and its environment.

    GitHub runs a step without a `shell:` by `bash -e FILE`.
    """
    (described,) = yaml.safe_load(job)["jobs"].values()
    (step,) = [step for step in described["steps"] if "run" in step]
    return step["run"], {name: str(value) for name, value in step["env"].items()}


@runs(block(_CI, "runs-on: self-hosted"))
def test_a_job_of_github_actions(lab: Lab, documented: Documented) -> None:
    (job,) = documented
    lines, environ = of_github(job)
    with serving() as galaxy:
        front = in_checkout(
            "GitHub Actions",
            lambda directory: ["bash", "-e", script(directory, lines)],
            {**environ, **galaxy.environ},
        )
        with cancelled(lab, front, ends.AS_GITHUB) as run:
            assert run.wait(20) == 99, run.story
            assert "was installed successfully" in run.output, run.story
            assert "grace period 5 s" in run.errors, run.story
            assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
                run.story
            )


@rest
@runs(block(_CI, "deploy:\n  variables:"))
def test_a_job_of_gitlab(lab: Lab, documented: Documented) -> None:
    """The shell executor hands all lines to `eval` in a pipeline.

    On cancel it sends SIGTERM to the process group.
    """
    (described,) = yaml.safe_load(next(iter(documented))).values()
    text = ": | eval " + shlex.quote("\n".join(described["script"])) + "\nexit 0\n"
    with serving() as galaxy:
        front = in_checkout(
            "GitLab CI",
            lambda directory: ["bash", "-eo", "pipefail", script(directory, text)],
            {**described["variables"], **galaxy.environ},
        )
        with cancelled(lab, front, ends.AS_CI) as run:
            assert "was installed successfully" in run.output, run.story
            assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
                run.story
            )


@rest
@runs(block(_CI, "pipeline {"))
def test_a_pipeline_of_jenkins(lab: Lab, documented: Documented) -> None:
    """A `sh` step is a script that `sh -xe` runs.

    On cancel, SIGTERM is sent to each process of the build. The collection is on the agent.
    """
    (pipeline,) = documented
    environ = dict(re.findall(r"(\w+) = '([^']*)'", pipeline))
    (text,) = re.findall(r"sh '([^']*)'", pipeline)
    front = in_checkout(
        "Jenkins",
        lambda directory: ["sh", "-xe", script(directory, text)],
        {**environ, **collection()},
    )
    with cancelled(lab, front, ends.AS_JENKINS) as run:
        assert run.wait(20) == -ends.TERM, run.story
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )


def collection() -> Environ:
    """Return where the tests have installed it."""
    return {"ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]}


@runs(
    command("export ANSIBLE_CALLBACKS_ENABLED=treekill.remote.guardian"),
    command("exec ansible-playbook site.yml"),
)
def test_the_lines_of_any_other_script(lab: Lab, documented: Documented) -> None:
    text = "\n".join(documented) + "\n"
    front = in_checkout("a script", lambda directory: ["sh", script(directory, text)], collection())
    with cancelled(lab, front, ends.TERM_TO_MAIN) as run:
        assert run.wait(20) == -ends.TERM, run.story
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )


@rest
@runs(
    command("export ANSIBLE_CALLBACKS_ENABLED=treekill.remote.guardian"),
    command("export ANSIBLE_LOAD_CALLBACK_PLUGINS=1"),
)
def test_the_lines_for_ansible_itself(lab: Lab, documented: Documented) -> None:
    """The control is in the first line alone.

    `ansible` does not load the callback without the second.
    """
    text = "\n".join(documented) + "\n"

    def start(directory: Path, environ: Environ) -> list[str]:
        words = [*fronts.AD_HOC.start(directory, environ)]
        del environ["ANSIBLE_LOAD_CALLBACK_PLUGINS"]
        environ.update(collection())
        return ["bash", "-c", f'{text}exec "$@"', "typed", *words]

    with cancelled(lab, FrontEnd("ansible", start), ends.INT_TO_MAIN) as run:
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )


@rest
@pytest.mark.parametrize(
    ("without", "status", "recap"),
    [("", 99, True), (" --playbook-artifact-enable false", 254, False)],
    ids=["whole", "with artifacts"],
)
@runs(command("--execution-environment false"))
def test_the_line_for_ansible_navigator(
    lab: Lab, documented: Documented, without: str, status: int, recap: bool
) -> None:
    """It gets a Ctrl-C on its terminal.

    The page describes it without its last option as well.
    """
    (line,) = documented
    assert without in line
    navigator = Path(programs.program("ansible-navigator"))

    def start(directory: Path, environ: Environ) -> list[str]:
        # Behind the core of the tests: ansible-navigator depends on a core of its own.
        environ.update(
            HOME=str(directory),
            PATH=f"{programs.path_with_core()}:{navigator.parent}",
            ANSIBLE_CALLBACKS_ENABLED="treekill.remote.guardian",
        )
        environ.update(collection())
        return ["bash", "-c", f"exec {line.replace(without, '')}"]

    with cancelled(lab, FrontEnd("ansible-navigator", start), CTRL_C) as run:
        assert run.wait(20) == status, run.story
        assert ("survivors 0" in run.output) is recap, run.story


@rest
@pytest.mark.parametrize("way", ["env/envvars", "project/ansible.cfg"])
@runs(
    block("docs/front_ends.md", "ANSIBLE_CALLBACKS_ENABLED: treekill"),
    block("docs/guides/awx.md", "callbacks_enabled = "),
)
def test_the_files_of_a_job_of_ansible_runner(lab: Lab, documented: Documented, way: str) -> None:
    """AWX starts it.

    Its cancel kills at once, so that no process prints a recap: the guardian alone ends the tree.
    """
    envvars, configuration = documented

    def start(directory: Path, environ: Environ) -> list[str]:
        words = [*fronts.RUNNER.start(directory, environ)]
        project = directory / "private/project/ansible.cfg"
        unsaid = project.read_text()
        if way == "env/envvars":
            (directory / "private/env/envvars").write_text(envvars)
        else:
            project.write_text(configuration + unsaid.replace("[defaults]\n", ""))
        environ.update(collection())
        return words

    with cancelled(lab, FrontEnd(f"ansible-runner, {way}", start), ends.kill(None)) as run:
        assert run.wait(20) is not None, run.story
