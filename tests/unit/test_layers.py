# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers of packages: each imports only from packages below it.

The tables of docs/architecture.md name the imports of each package. No files import each other in a
circle.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
PACKAGE = "ansible_collections.treekill.remote.plugins."

#: From the bottom to the top. A folder without packages is one layer.
LAYERS: dict[str, tuple[str, ...]] = {
    "doc_fragments": (),
    "module_utils": ("_process", "_lease", "_tree", "_kill_pass", "_survey", "_supervisor"),
    "plugin_utils": (
        *(
            "_core",
            "_ipc",
            "_lease",
            "_system",
            "_recap",
            "_after_kill",
            "_payload",
            "_kill_order",
            "_records",
        ),
        *("_guardian", "_connection", "_run", "_paramiko"),
    ),
    "modules": (),
    "action": (),
    "connection": (),
    "callback": (),
}

#: The worlds that have packages.
DIVIDED = tuple(world for world, packages in LAYERS.items() if packages)

#: Plugins that Ansible loads by their names. None imports another one.
ADAPTERS = ("modules", "action", "connection", "callback")

WORLDS = tuple(PACKAGE + world for world in LAYERS)


def imports(tree: ast.Module, *, types: bool) -> Iterator[str]:
    """Return what a file imports of the collection, as `world._package.file`.

    `types`: also what only type checkers import.
    """
    unwanted: set[int] = set()
    if not types:
        guards = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        unwanted = {id(inner) for guard in guards for inner in ast.walk(guard)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and id(node) not in unwanted
            and (node.module or "").startswith(WORLDS)
        ):
            name = str(node.module)[len(PACKAGE) :]
            if name.startswith(DIVIDED) and name.count(".") == 1:
                yield from (f"{name}.{alias.name}" for alias in node.names)
            else:
                yield name


@functools.cache
def graph(*, types: bool) -> dict[str, set[str]]:
    """Return the imports of each file."""
    paths = [path for world in LAYERS for path in (PLUGINS / world).rglob("*.py")]
    names = {path: ".".join(path.relative_to(PLUGINS).with_suffix("").parts) for path in paths}
    return {
        names[path]: set(imports(ast.parse(path.read_text(encoding="utf-8")), types=types))
        for path in paths
    }


def height(name: str) -> tuple[int, int]:
    """Return the floor of a file. All of module_utils is below all of plugin_utils."""
    world, package = name.split(".")[:2]
    return list(LAYERS).index(world), LAYERS[world].index(package) if LAYERS[world] else 0


def may_import(name: str, other: str) -> bool:
    """Whether a file may import another one."""
    return not other.startswith(ADAPTERS) and height(other) <= height(name)


def documented(page: str) -> dict[tuple[str, str], set[str]]:
    """Return the imports of each package by the tables of the page.

    A package has its world and its name, as in `module_utils._tree`.
    """
    hosts, controller = re.split(r"^On the controller:$", page, maxsplit=1, flags=re.MULTILINE)
    found = {}
    for world, text in (("module_utils", hosts), ("plugin_utils", controller)):
        for row in re.findall(r"^\| `(_\w+)` \|(.*)\|$", text, re.MULTILINE):
            cells = [re.findall(r"`(\w+)`", cell) for cell in row[1].split(" | ")[1:]]
            found[world, row[0]] = {
                name if name in LAYERS else f"{side}.{name}"
                for side, names in zip((world, "module_utils"), cells, strict=False)
                for name in names
            }
    return found


def imported_packages(world: str, package: str) -> set[str]:
    """Return the packages that a package imports, those for type checkers only included."""
    own = f"{world}.{package}"
    names = {
        other
        for name, others in graph(types=True).items()
        if name.startswith(f"{own}.")
        for other in others
    }
    packages = {
        ".".join(name.split(".")[:2]) if name.startswith(DIVIDED) else name.split(".")[0]
        for name in names
    }
    return packages - {own}


def circle(files: dict[str, set[str]]) -> list[str]:
    """Return files that import each other in a circle; empty if there are none."""
    done: set[str] = set()

    def look(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        for other in sorted(files.get(name, ())):
            if found := look(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next(filter(None, (look(name, []) for name in sorted(files))), [])


@pytest.mark.parametrize("world", DIVIDED)
def test_the_layers_name_each_package(world):
    found = {
        path.name
        for path in (PLUGINS / world).iterdir()
        if path.is_dir() and any(path.glob("*.py"))
    }
    assert found == set(LAYERS[world])


@pytest.mark.parametrize("name", sorted(graph(types=True)))
def test_a_file_imports_only_from_its_own_package_and_from_those_below_it(name):
    assert [other for other in sorted(graph(types=True)[name]) if not may_import(name, other)] == []


def test_the_architecture_page_names_the_imports_of_each_package():
    tables = documented((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    packages = [(world, package) for world in DIVIDED for package in LAYERS[world]]
    assert tables == {names: imported_packages(*names) for names in packages}


def test_a_table_of_imports_is_read():
    page = (
        "| `_tree` | `x` of it | `_lease`, `_process` |\n"
        "On the controller:\n"
        "| `_ipc` | holds | `doc_fragments`, `_core` | `_process` |\n"
        "| `_core` | holds | | |\n"
    )
    assert documented(page) == {
        ("module_utils", "_tree"): {"module_utils._lease", "module_utils._process"},
        ("plugin_utils", "_ipc"): {"doc_fragments", "plugin_utils._core", "module_utils._process"},
        ("plugin_utils", "_core"): set(),
    }


def test_no_file_may_import_an_adapter_or_what_is_above_it():
    assert may_import("callback.guardian", "plugin_utils._run.start_run")
    assert not may_import("plugin_utils._run.start_run", "callback.guardian")
    assert not may_import("action.shell", "action.command")
    assert not may_import("doc_fragments.kill", "plugin_utils._core.options")
    assert may_import("plugin_utils._core.options", "doc_fragments.kill")


def test_no_files_import_each_other_in_a_circle():
    assert circle(graph(types=False)) == []


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_imports_are_seen_in_each_form():
    source = (
        f"if t.TYPE_CHECKING:\n    from {PACKAGE}module_utils._a.b import C\n"
        f"from {PACKAGE}plugin_utils._d import e, f\n"
    )
    assert set(imports(ast.parse(source), types=False)) == {
        "plugin_utils._d.e",
        "plugin_utils._d.f",
    }
    assert "module_utils._a.b" in set(imports(ast.parse(source), types=True))
