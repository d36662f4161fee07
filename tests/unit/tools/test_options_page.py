# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/options.md and the README describe the options as the plugins do, and as they work."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options as kill_options

from tests.unit.plugins.plugin_utils.run_factory import PLACES
from tools.options_page.__main__ import BEGIN, PAGE, generated, page
from tools.options_page.documented import markdown, options

ROOT = PAGE.parents[1]
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_documentation_says():
    assert page(TEXT) == TEXT, "`make docs` writes it anew"


@pytest.mark.parametrize(
    "change",
    [
        {"default": "11"},
        {"name": "kill_soon"},
        {"paragraphs": ("Else.",)},
        {"argument": False},
        {"variable": "treekill_soon"},
    ],
)
def test_whatever_changes_in_the_documentation_changes_the_page(change):
    known = options()
    assert known[0].name == "kill_signal"
    assert generated([dataclasses.replace(known[0], **change), *known[1:]]) != generated(known)


def test_the_page_has_every_option_that_the_collection_reads():
    read = {
        **kill_options.VARIABLES,
        **kill_options.ALWAYS_VARIABLES,
        **kill_options.AFTER_VARIABLES,
        **kill_options.RECORD_VARIABLES,
    }
    assert {option.variable: option.name for option in options()} == read
    assert all(f"\n### {name}\n" in TEXT for name in read.values())


def test_the_tasks_arguments_are_those_of_the_actions_that_it_names():
    modules = sorted(
        path.stem
        for path in (ROOT / "plugins/modules").glob("*.py")
        if "treekill.remote.kill.arguments" in path.read_text(encoding="utf-8")
    )
    assert modules == ["command", "raw", "script", "shell"]
    assert "of `treekill.remote.shell`, `command`, `raw` and `script`" in TEXT


def test_the_readme_has_some_of_these_options_with_the_same_defaults():
    table = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .partition("| option | default | meaning |\n")[2]
        .partition("\n\n")[0]
    )
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", table, re.MULTILINE)
    known = {option.name: option.default for option in options()}
    assert rows
    assert dict(rows) == {name: known[name] for name, dummy in rows}
    assert len(rows) == len(table.splitlines()) - 1, "a row that is not written like the others"


def test_markup_that_the_page_can_not_show_is_an_error():
    assert (
        markdown("See O(track=all), V(false) and E(HOME).")
        == "See [`track=all`](#track), `false` and `HOME`."
    )
    with pytest.raises(ValueError, match=r"RV\(gone\)"):
        markdown("See RV(gone).")


# The examples, in the order in which they win according to the page.


def example(pattern: str) -> str:
    found = re.search(pattern, TEXT.partition(BEGIN)[0], re.MULTILINE)
    assert found, pattern
    return found.group(1)


def in_force(
    tmp_path: Path,
    *,
    cfg: str = "",
    environment: str = "",
    variables: dict[str, str],
    arguments: dict[str, str],
) -> float:
    """Return the grace of a program that starts with this ansible.cfg and this environment."""
    (tmp_path / "ansible.cfg").write_text(cfg)
    name, dummy, value = environment.partition("=")
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith("TREEKILL")},
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "PYTHONPATH": PLACES,
        "LC_ALL": "C.UTF-8",
        **({name: value} if name else {}),
    }
    code = (
        "from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import "
        f"resolve; print(resolve({variables!r}, {arguments!r}).timeout)"
    )
    return float(
        subprocess.run(
            [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )


def test_each_example_wins_over_those_before_it(tmp_path):
    cfg = example(r"^```ini\n((?:.*\n)*?)```$")
    environment = example(r"^export (TREEKILL_KILL_TIMEOUT=30)$")
    name, value = example(r"-e (\S+=60)$").split("=")
    argument = example(r"^    kill_timeout: (70)$")
    assert in_force(tmp_path, variables={}, arguments={}) == 10
    assert in_force(tmp_path, cfg=cfg, variables={}, arguments={}) == 20
    assert in_force(tmp_path, cfg=cfg, environment=environment, variables={}, arguments={}) == 30
    assert (
        in_force(tmp_path, cfg=cfg, environment=environment, variables={name: value}, arguments={})
        == 60
    )
    assert (
        in_force(
            tmp_path,
            cfg=cfg,
            environment=environment,
            variables={name: value},
            arguments={"kill_timeout": argument},
        )
        == 70
    )
