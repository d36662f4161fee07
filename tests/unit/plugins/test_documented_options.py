# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of actions and of the role sweep, as they are documented and as they are read.

Of modules, ansible-test compares them.
"""

import importlib
from pathlib import Path

import pytest
import yaml
from ansible_collections.treekill.remote.plugins.action import run_journal, run_journal_info
from ansible_collections.treekill.remote.plugins.plugin_utils._connection import sweep_action

ROLE = Path(__file__).resolve().parents[3] / "roles/sweep"

PLUGINS = "ansible_collections.treekill.remote.plugins"

#: What a specification says of an option, without what has no effect on its value.
FACTS = ("type", "elements", "choices", "default", "aliases")


def documented(name):
    text = importlib.import_module(f"{PLUGINS}.modules.{name}").DOCUMENTATION
    documentation = yaml.safe_load(text)
    options = documentation.get("options", {})
    for extended in documentation["extends_documentation_fragment"]:
        dummy, fragment, *variant = extended.removeprefix("treekill.").split(".")
        fragments = importlib.import_module(f"{PLUGINS}.doc_fragments.{fragment}").ModuleDocFragment
        text = getattr(fragments, (variant or ["documentation"])[0].upper())
        options.update(yaml.safe_load(text).get("options", {}))
    return options


def facts(options):
    return {
        name: {fact: option[fact] for fact in FACTS if fact in option}
        for name, option in options.items()
    }


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("run_sweep", sweep_action.ARGUMENTS),
        ("run_journal", run_journal.ARGUMENTS),
        ("run_journal_info", run_journal_info.ARGUMENTS),
    ],
)
def test_an_action_reads_the_options_that_are_documented(name, arguments):
    assert facts(documented(name)) == facts(arguments)


def test_the_role_has_each_option_of_its_module():
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())
    variables = facts(specs["argument_specs"]["main"]["options"])
    options = {f"sweep_{name}": option for name, option in facts(sweep_action.ARGUMENTS).items()}
    for name in ("sweep_runs", "sweep_leases"):
        assert variables[name].pop("default") == []
    assert variables == options


def test_the_role_has_the_defaults_that_it_documents_and_passes_each_option_on():
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    # It depends on another variable.
    del defaults["sweep_dead"]
    assert defaults == {
        name: option["default"] for name, option in options.items() if "default" in option
    }
    (task, *dummy) = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    assert set(task["treekill.remote.run_sweep"]) == set(sweep_action.ARGUMENTS)
