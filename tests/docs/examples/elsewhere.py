# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pieces of the pages that no test runs as they stand.

Each has the reason, and what runs its content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .claims import CLAIMS, Claim, block, command
from .pages import ROOT

#: Blocks that show how things lie, and that no program prints.
DRAWINGS = (
    block("docs/who_kills_what.md", "the controller  "),
    block("docs/architecture.md", "callback/guardian  "),
)

_SUITES = "it runs this very test, and takes half an hour and more"
_HOURS = "it takes hours"
_ROUND = "another test plays a round"
_ITSELF = "`make test` is what runs this test"
_PART = "words of a command line, in a sentence about it"


@dataclass(frozen=True)
class Elsewhere:
    """The reason why no test types a command.

    It names a file that runs the content of the command, with the words of the file that do.
    """

    why: str
    where: str
    words: str

    @property
    def there(self) -> bool:
        """Whether the file has these words."""
        path = ROOT / self.where
        return path.exists() and self.words in path.read_text(encoding="utf-8")


_CI, _WORKFLOW, _ALL = ".ci/run", ".github/workflows/ci.yml", "tools/environment/_all.py"

_LAUNCHERS = "tests/integration/launchers"
_CONTAINED = f"{_LAUNCHERS}/contained.py"

_HAND_OFFS = "tests/integration/survival/test_hand_offs.py"
_READS = "tests/unit/plugins/plugin_utils/_kill_order/test_hand_offs.py"
_CONTAINERS = "plugins/plugin_utils/_kill_order/containers.py"

COMMANDS: Mapping[Claim, Elsewhere] = {
    command("make test"): Elsewhere(_ITSELF, _CI, "exec make test"),
    command("make test CORE=2.16"): Elsewhere(
        _ITSELF, _WORKFLOW, "make test CORE=${{ matrix.core }}"
    ),
    command("make test CORE=2.16 ON_PYTHON=3.10"): Elsewhere(
        _ITSELF, _WORKFLOW, "ON_PYTHON=${{ matrix.python }}"
    ),
    command("make test-all-cores"): Elsewhere(
        _HOURS, _ALL, '"failed" if test(make_ready(core.version), gates, arguments)'
    ),
    command("make integration"): Elsewhere(
        _SUITES, _ALL, "suite(name, ready, arguments) for name in BEHIND_LINT"
    ),
    command("make molecule"): Elsewhere(
        "`make test` runs it after this test",
        _ALL,
        "suite(name, ready, arguments) for name in BEHIND_LINT",
    ),
    command("make core-tests CORE=2.19"): Elsewhere(
        "it takes an hour", _ALL, 'program("core-tests", ready, ["--quick"])'
    ),
    command("--go-on --limit 240"): Elsewhere(_HOURS, "tools/core_targets/run.py", '"--go-on"'),
    command("whatever_becomes --faults 1000"): Elsewhere(
        "it takes half an hour",
        "tests/unit/plugins/plugin_utils/_guardian/test_least_harm.py",
        "whatever_becomes_of_its_guardian",
    ),
    command("make coverage"): Elsewhere(_HOURS, "docs/coverage.md", "Recorded on ansible-core"),
    command("make bench"): Elsewhere(
        f"{_HOURS[:-5]}half an hour of a quiet machine", "docs/figures.md", "| holds |"
    ),
    command("make lint"): Elsewhere(
        "`make test` runs it before this test", _ALL, "lint(ready, gates) or next("
    ),
    command("test_fleeting --rounds 20"): Elsewhere(
        _HOURS, "tests/integration/survival/test_fleeting.py", "def test_"
    ),
    command("installation_is_finished --every-row"): Elsewhere(
        _HOURS, "tests/integration/grace/test_transactions.py", "def test_an_installation"
    ),
    command("make docs"): Elsewhere(
        "its gate builds the same site, with links checked",
        "tools/environment/_gates.py",
        '"docsite"',
    ),
    command("make lint-docsite"): Elsewhere(
        "`make lint` runs it before this test", "tools/environment/_gates.py", '"docsite"'
    ),
    command("test_survival --rounds 20"): Elsewhere(
        _HOURS, "tests/integration/survival/test_survival.py", "def test_"
    ),
    command("-k test_controls"): Elsewhere(
        "`make test` runs these tests", "tests/integration/survival/test_controls.py", "def test_"
    ),
    command("test_evidence_model --tables 10000"): Elsewhere(
        _HOURS, "tests/unit/plugins/module_utils/_tree/test_evidence_model.py", "def test_"
    ),
    command("test_concurrency --every-row"): Elsewhere(
        _HOURS, "tests/integration/concurrency/test_concurrency.py", "def test_"
    ),
    command("ansible-builder build -f"): Elsewhere(
        "its base image is in a registry",
        f"{_LAUNCHERS}/execution_environment.py",
        '"build", "-f", DEFINITION.name, "-t", IMAGE',
    ),
    command("--execution-environment-image treekill-ee:1"): Elsewhere(
        "it needs an execution environment",
        _CONTAINED,
        '"--mode", "stdout", "--execution-environment-image", IMAGE',
    ),
    command("make endurance ROUNDS=200"): Elsewhere(
        _HOURS, "tests/integration/concurrency/test_endurance.py", "def test_a_round_has_no_fault"
    ),
    command("make endurance ROUNDS=1 SEED=7 FIRST=3"): Elsewhere(
        _ROUND, "tests/integration/concurrency/test_endurance.py", "def test_a_round_has_no_fault"
    ),
    command("$ make endurance ROUNDS=200"): Elsewhere(
        _HOURS, "tests/integration/concurrency/test_endurance.py", "def test_a_round_has_no_fault"
    ),
    command("make endurance"): Elsewhere(
        _ROUND, "tests/integration/concurrency/test_endurance.py", "def test_a_round_has_no_fault"
    ),
    command("flat tasks 20000"): Elsewhere(_HOURS, "tools/endurance/flat.py", "def tasks"),
    command("flat console 1000"): Elsewhere(_HOURS, "tools/endurance/flat.py", "def console"),
    command("flat runs 500"): Elsewhere(_HOURS, "tools/endurance/flat.py", "def library"),
    command("python -m tools.bench.run NAME..."): Elsewhere(
        "it has a name to be put in", "tools/environment/_tests.py", '"bench": "tools.bench.run"'
    ),
    command("python -m tools.bench.growth --write"): Elsewhere(
        f"{_HOURS[:-5]}an hour of a quiet machine", "docs/figures.md", "| hosts | pipelining |"
    ),
    command("python -m tools.bench.many 900 1024"): Elsewhere(
        "a smaller number of hosts is a unit test",
        "tests/unit/plugins/plugin_utils/_guardian/test_many_hosts.py",
        "measured(",
    ),
    command("ansible all -m shell -a pkill"): Elsewhere(
        "the baseline of a figure, as a table names it", "tools/bench/speed.py", "pkill"
    ),
    command("pytest test/integration"): Elsewhere(
        "it runs another project's tests",
        "docs/figures.md",
        "integration tests of ansible-runner pass",
    ),
    command("ansible-runner run --process-isolation"): Elsewhere(
        _PART, _CONTAINED, '["--process-isolation", "--process-isolation-executable", "podman"]'
    ),
    command("ansible-navigator run"): Elsewhere(
        _PART, _CONTAINED, 'programs.program("ansible-navigator"), "run"'
    ),
    command("podman stop"): Elsewhere(
        _PART,
        f"{_LAUNCHERS}/test_execution_environment.py",
        '("stop", "--time", "30")',
    ),
    command("ansible-runner run"): Elsewhere(
        _PART, "tests/integration/launchers/fronts.py", '"ansible-runner"), "run"'
    ),
    command("ansible-runner start"): Elsewhere(
        _PART, "tests/integration/launchers/test_runner.py", '"ansible-runner"), "start"'
    ),
    command("ansible-runner stop"): Elsewhere(
        _PART, "tests/integration/launchers/test_runner.py", '"ansible-runner"), "stop"'
    ),
    command("ansible-runner worker"): Elsewhere(
        _PART, "tests/integration/launchers/fronts.py", "worker --private-data-dir"
    ),
    command("ansible-test sanity --docker"): Elsewhere(
        "it downloads an image with every Python of a core",
        _WORKFLOW,
        "run: ansible-test sanity --docker",
    ),
    command("ansible-test units"): Elsewhere(_PART, "tools/environment/_ansible_test.py", "units"),
    command("exec ansible-playbook"): Elsewhere(
        _PART,
        "tests/integration/launchers/fronts.py",
        "in_shell('exec \"$@\"', *playbook(directory))",
    ),
    command("timeout 1h ansible-playbook ..."): Elsewhere(
        _PART, "tests/integration/launchers/fronts.py", '["timeout", "600", *playbook(directory)]'
    ),
    command("docker exec"): Elsewhere(_PART, "tests/integration/connections/docker.py", "docker"),
    command("docker run -d"): Elsewhere(_PART, _HAND_OFFS, "run --detach"),
    command("docker run --detach"): Elsewhere(_PART, _HAND_OFFS, "run --detach"),
    command("docker run"): Elsewhere(_PART, _HAND_OFFS, "run --init"),
    command("docker stop"): Elsewhere(_PART, _CONTAINERS, "stop --time"),
    command("docker compose"): Elsewhere(_PART, _READS, "docker compose"),
    command("docker ps --filter name=NAME"): Elsewhere(
        _PART, _READS, "docker ps --filter name=web"
    ),
    command("docker top NAME"): Elsewhere(_PART, _READS, "docker top web"),
    command("podman rm --force NAME"): Elsewhere(_PART, _HAND_OFFS, '"rm", "--force", "mine"'),
    command("podman exec"): Elsewhere(_PART, "tests/integration/connections/podman.py", "podman"),
    command("podman kill"): Elsewhere(
        _PART, f"{_LAUNCHERS}/test_execution_environment.py", '("kill",)'
    ),
}

CLAIMS.update(dict.fromkeys((*DRAWINGS, *COMMANDS), __name__))


def arguments_for_pytest(text: str) -> str:
    """Return what a `make` command gives to pytest; empty if nothing."""
    found = re.search(r'PYTEST_ARGS="([^"]*)"', text)
    return found[1] if found else ""
