# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The border between code that runs on hosts and code that runs on the controller.

It is also the border between plugins that adapt and classes that work.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
COLLECTION = "ansible_collections.treekill.remote"
MODULE_UTILS = f"{COLLECTION}.plugins.module_utils"

ON_HOSTS = ("module_utils", "modules")
ADAPTERS = (
    "action",
    "become",
    "cache",
    "callback",
    "connection",
    "filter",
    "lookup",
    "strategy",
    "test",
    "vars",
)
PRIVATE = ("module_utils", "plugin_utils")

#: Standard library that Python 3.6 lacks. What was removed since can't be seen here: the gates that
#: run each Python find it.
YOUNGER_THAN_3_6 = {"contextvars", "dataclasses", "graphlib", "tomllib", "zoneinfo"}

ADAPTER_FUNCTION_LINES = 20
ADAPTER_LINES = 100


def python_files(*folders: str) -> list[Path]:
    """Return all Python files of these plugin folders."""
    return sorted(path for folder in folders for path in (PLUGINS / folder).rglob("*.py"))


def imported(source: str, module: str) -> Iterator[str]:
    """Return the full names of what a source imports anywhere in it, functions included.

    Relative imports are resolved against ``module``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module.split(".")[: -node.level]) if node.level else ""
            yield from (
                ".".join(filter(None, (base, node.module, name.name))) for name in node.names
            )


def within(name: str, package: str) -> bool:
    """Whether a dotted name is this package or below it."""
    return name == package or name.startswith(f"{package}.")


def foreign_on_hosts(source: str, module: str) -> list[str]:
    """Return imports that a host does not have."""
    standard = set(sys.stdlib_module_names) - YOUNGER_THAN_3_6
    return [
        name
        for name in imported(source, module)
        if name.split(".")[0] not in standard
        and not within(name, "ansible.module_utils")
        and not within(name, MODULE_UTILS)
    ]


def code_lines(tree: ast.AST) -> int:
    """Return lines that hold code: no comments, blank lines, or strings that are documentation."""
    prose = {
        number
        for node in ast.walk(tree)
        if isinstance(node, (ast.Expr, ast.Assign))
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    code = {
        number
        for node in ast.walk(tree)
        if isinstance(node, (ast.stmt, ast.expr))
        for number in (node.lineno, node.end_lineno or node.lineno)
    }
    return len(code - prose)


def too_long(tree: ast.Module) -> list[str]:
    """Return functions that do more than adapt."""
    functions = (
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    return [
        f"{node.name}: {code_lines(node)} lines"
        for node in functions
        if code_lines(node) > ADAPTER_FUNCTION_LINES
    ]


def quoted_builtins(source: str) -> list[str]:
    """Return the quoted annotations that name a builtin, for which Python 3.6 needs no quotes."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            written = getattr(node, field, None)
            for part in ast.walk(written) if written is not None else ():
                if isinstance(part, ast.Constant) and hasattr(builtins, str(part.value)):
                    found += [part.value] if isinstance(part.value, str) else []
    return found


def name_of(path: Path) -> str:
    """Return the path as pytest shows it."""
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    """Return the name by which Ansible imports a file."""
    return ".".join((COLLECTION, *path.relative_to(ROOT).with_suffix("").parts))


def test_both_worlds_are_there():
    assert python_files("module_utils")
    assert python_files("plugin_utils")


@pytest.mark.parametrize("path", python_files(*ON_HOSTS), ids=name_of)
def test_what_runs_on_hosts_imports_nothing_that_hosts_lack(path: Path):
    assert foreign_on_hosts(path.read_text(encoding="utf-8"), module_of(path)) == []


@pytest.mark.parametrize("path", python_files(*PRIVATE), ids=name_of)
def test_what_plugins_share_is_private(path: Path):
    if path.name == "__init__.py":
        assert not path.read_bytes(), "ansible-test demands that it is empty"
        return
    assert path.relative_to(PLUGINS).parts[1].startswith("_"), (
        "a private file stands in a private folder"
    )


@pytest.mark.parametrize("path", python_files(*ADAPTERS), ids=name_of)
def test_plugins_adapt_and_classes_in_plugin_utils_work(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert too_long(tree) == []
    assert code_lines(tree) <= ADAPTER_LINES


@pytest.mark.parametrize("path", python_files("module_utils"), ids=name_of)
def test_module_utils_may_be_linked_with_modules_of_any_licence(path: Path):
    # REUSE-IgnoreStart
    assert (
        "# SPDX-License-Identifier: BSD-2-Clause"
        in path.read_text(encoding="utf-8").splitlines()[:3]
    )
    # REUSE-IgnoreEnd


@pytest.mark.parametrize("path", python_files(*ON_HOSTS), ids=name_of)
def test_an_annotation_that_names_a_builtin_has_no_quotes(path: Path):
    assert quoted_builtins(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "foreign"),
    [
        ("import yaml", ["yaml"]),
        ("import os, json", []),
        ("def f():\n    import dataclasses", ["dataclasses"]),
        ("from ansible.module_utils.basic import AnsibleModule", []),
        ("from ansible.module_utils_of_mine import x", ["ansible.module_utils_of_mine.x"]),
        ("from ansible import constants", ["ansible.constants"]),
        ("from ansible.errors import AnsibleError", ["ansible.errors.AnsibleError"]),
        (f"from {MODULE_UTILS} import _cookie", []),
        ("from . import _cookie", []),
        ("from ._cookie import Cookie", []),
        ("from ..plugin_utils import _lease", [f"{COLLECTION}.plugins.plugin_utils._lease"]),
        (
            f"from {COLLECTION}.plugins.plugin_utils._lease import Lease",
            [f"{COLLECTION}.plugins.plugin_utils._lease.Lease"],
        ),
    ],
)
def test_the_border_sees_every_form_of_import(source: str, foreign: list[str]):
    assert foreign_on_hosts(source, f"{MODULE_UTILS}._sample") == foreign


def test_lines_of_code_leave_out_documentation():
    source = (
        'DOCUMENTATION = r"""\nname: x\n"""\n\n\ndef run(self):\n    """Say so."""\n    # why\n'
        "    return call(\n        self,\n    )\n"
    )
    assert code_lines(ast.parse(source)) == 4


def test_a_function_that_works_is_no_adapter():
    body = "\n".join(f"    step({number})" for number in range(ADAPTER_FUNCTION_LINES))
    assert too_long(ast.parse(f"def run():\n{body}")) == [
        f"run: {ADAPTER_FUNCTION_LINES + 1} lines"
    ]


def test_a_quoted_builtin_is_found_in_each_kind_of_annotation():
    source = (
        "def f(a: 'int', *, b: 'Optional[str]', c: None = 0) -> 'None':\n"
        "    d: List['bytes'] = g('int')\n"
    )
    assert sorted(quoted_builtins(source)) == ["None", "bytes", "int"]
