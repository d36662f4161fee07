# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions of `make` before it runs anything.

They are the core, its Python, and the files of the collection.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.environment import _ansible_test, _docsite, _sources, _tests
from tools.environment._clean import mounted_below
from tools.environment._commands import SetupError, clean_environment, run
from tools.environment._cores import CORES
from tools.environment._interpreters import (
    Interpreter,
    choose,
    interpreter_for,
    newest_of_each,
    probe,
    reason_missing,
)
from tools.environment._paths import ROOT


def pythons(
    *releases: tuple[int, int, int], makes_venvs: bool = True
) -> dict[tuple[int, int], Interpreter]:
    """Return a machine with these Pythons."""
    return newest_of_each(
        Interpreter(f"/usr/bin/python{major}.{minor}", (major, minor, micro), makes_venvs)
        for major, minor, micro in releases
    )


@pytest.mark.parametrize(
    ("releases", "core", "python"),
    [
        ([(3, 14, 0), (3, 13, 0), (3, 12, 1)], "2.21", (3, 14)),
        ([(3, 11, 2)], "2.19", (3, 11)),
        ([(3, 10, 1), (3, 9, 0)], "2.17", (3, 10)),
        ([(3, 15, 0), (3, 12, 0)], "2.21", (3, 12)),
        # 2.22 has no release yet.
        ([(3, 15, 0)], "2.22", (3, 15)),
    ],
)
def test_the_default_is_the_newest_core_that_a_python_here_runs(releases, core, python):
    chosen, interpreter = choose(None, pythons(*releases))
    assert (chosen.version, interpreter.version) == (core, python)


def test_a_core_that_was_asked_for_is_never_replaced_by_another():
    with pytest.raises(
        SetupError,
        match=r"ansible-core 2\.21 needs Python 3\.12 to 3\.14; with venv and ensurepip here: "
        r"3\.11",
    ):
        choose("2.21", pythons((3, 11, 2)))


def test_a_core_that_is_not_supported_is_an_error_that_names_those_that_are():
    with pytest.raises(SetupError, match=r"2\.15 is not supported: choose one of 2\.16, .*2\.21"):
        choose("2.15", pythons((3, 11, 2)))


def test_a_python_that_makes_no_virtual_environments_is_not_chosen():
    available = {**pythons((3, 13, 5), makes_venvs=False), **pythons((3, 12, 1))}
    found = interpreter_for(CORES["2.21"], available)
    assert found is not None
    assert found.version == (3, 12)
    assert "here: 3.12" in reason_missing(CORES["2.21"], available)


def test_of_two_releases_of_a_minor_version_the_later_one_is_taken():
    assert pythons((3, 12, 10), (3, 12, 9))[3, 12].release == (3, 12, 10)


def test_a_program_that_is_no_python_is_no_interpreter(tmp_path: Path):
    shim = tmp_path / "python3.9"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.9: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert probe(str(shim)) is None
    assert probe(str(tmp_path / "missing")) is None


def test_a_python_is_asked_for_its_version():
    found = probe(sys.executable)
    assert found is not None
    assert found.release == sys.version_info[:3]


def test_a_command_that_fails_shows_all_that_it_printed():
    with pytest.raises(SetupError, match=r"(?s)to stdout.*to stderr.*exit status 3 of: sh -c"):
        run(["sh", "-c", "echo to stdout; echo to stderr >&2; exit 3"])


def test_settings_of_the_user_do_not_steer_what_is_tested(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "timer")
    monkeypatch.setenv("TREEKILL_TRACK", "none")
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example.com/simple")
    environment = clean_environment()
    assert not {"ANSIBLE_CALLBACKS_ENABLED", "TREEKILL_TRACK"} & set(environment)
    assert environment["PIP_INDEX_URL"] == "https://pypi.example.com/simple"
    assert Path(environment["ANSIBLE_CONFIG"]).read_bytes() == b""


def test_a_hook_of_git_does_not_steer_which_repository_is_looked_at(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(["git", "init", "--quiet", tree])
    run(["git", "init", "--quiet", tmp_path / "other"])
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert _sources.source_files() == ["galaxy.yml", "plugins/one.py"]


def test_what_is_interrupted_has_all_the_time_it_needs_to_clean_up():
    slow = (
        "import sys, time\ntry:\n    print('ready', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(1); sys.exit(7)"
    )
    code = (
        "import os, sys\nfrom tools.environment._commands import *\n"
        f"sys.exit(foreground([sys.executable, '-c', {slow!r}], cwd=ROOT, env=os.environ))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_make_ends_what_it_runs(number: signal.Signals):
    child = "import time; print('ready', flush=True); time.sleep(60)"
    code = (
        "import os, sys\nfrom tools.environment._commands import *\n"
        f"sys.exit(foreground([sys.executable, '-c', {child!r}], cwd=ROOT, env=os.environ))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait() == 128 + number
        assert process.stdout.read() == b"", "the child, which holds the other end, is gone"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small source tree in place of the repository."""
    root = tmp_path / "tree"
    (root / "plugins").mkdir(parents=True)
    (root / "galaxy.yml").write_text("name: remote\n")
    (root / "plugins" / "one.py").write_text("1\n")
    monkeypatch.setattr(_sources, "ROOT", root)
    return root


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_a_copy_holds_exactly_the_files_that_were_named(tree: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    _sources.copy_sources(["galaxy.yml", "plugins/one.py"], copy)
    assert files_below(copy) == {"galaxy.yml", "plugins/one.py"}
    (tree / "galaxy.yml").write_text("name: other\n")
    _sources.copy_sources(["galaxy.yml"], copy)
    assert files_below(copy) == {"galaxy.yml"}
    assert not (copy / "plugins").exists()
    assert (copy / "galaxy.yml").read_text() == "name: other\n"


def test_a_digest_changes_with_content_name_and_mode(tree: Path):
    before = _sources.digest(tree, ["galaxy.yml"])
    assert _sources.digest(tree, ["galaxy.yml"]) == before
    (tree / "galaxy.yml").chmod(0o755)
    with_mode = _sources.digest(tree, ["galaxy.yml"])
    (tree / "galaxy.yml").write_text("name: other\n")
    with_content = _sources.digest(tree, ["galaxy.yml"])
    (tree / "galaxy.yml").rename(tree / "other.yml")
    assert len({before, with_mode, with_content, _sources.digest(tree, ["other.yml"])}) == 4


def test_files_that_git_ignores_are_no_sources_and_new_ones_are(tree: Path):
    run(["git", "init", "--quiet", tree])
    (tree / ".gitignore").write_text("*.tar.gz\n")
    (tree / "old.tar.gz").write_text("")
    run(["git", "add", "galaxy.yml"], cwd=tree)
    (tree / "galaxy.yml").unlink()
    assert _sources.source_files() == [".gitignore", "plugins/one.py"]


def test_what_a_linter_says_when_nothing_is_wrong_is_left_out_of_a_failure():
    printed = (
        'Running sanity test "pep8"\n  Downloading x.whl\nERROR: plugins/x.py:1:1: E501\n\n'
        "FATAL: failed"
    )
    assert _ansible_test.without_noise(printed) == "ERROR: plugins/x.py:1:1: E501\nFATAL: failed"


def test_every_plugin_role_and_page_has_to_be_in_the_site(tmp_path: Path):
    documented = (
        "plugins/callback/one.py",
        "plugins/modules/two.py",
        "roles/three/README.md",
        "README.md",
        "docs/four.md",
        "docs/guides/five.md",
    )
    others = (
        "plugins/action/two.py",
        "plugins/doc_fragments/six.py",
        "plugins/module_utils/_seven.py",
        "roles/_eight/README.md",
        "docs/nine.svg",
    )
    for name in (*documented, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(_docsite.wanted_pages(tmp_path)) == [
        "README",
        "docs/four",
        "docs/guides/five",
        "index",
        "one_callback",
        "three_role",
        "two_module",
    ]


def test_a_tree_without_anything_to_document_is_no_site(tmp_path: Path):
    with pytest.raises(SetupError, match="nothing to look at"):
        _docsite.wanted_pages(tmp_path)


def test_mounts_below_a_folder_are_seen():
    assert mounted_below(Path("/")) == [] or "/proc" in mounted_below(Path("/"))
    assert mounted_below(Path(__file__)) == []


@pytest.mark.parametrize(
    "argument", ["tests/integration/faults", "tests/integration/faults/test_socket.py::test_x"]
)
def test_a_path_takes_the_place_of_the_suite_that_it_is_in(argument: str):
    assert _tests.below(argument, "tests/integration/faults")
    assert not _tests.below(argument, "tests/integration/fault")
    assert not _tests.below("faults", "tests/integration/faults")
