# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parameters that a module declares with no_log, as far as its source shows.

No code of a module is executed on the controller. The names are those that argument specs contain,
in the module and in what it imports from module_utils. A computed spec is not understood.
"""

from __future__ import annotations

import ast
import os
import re
import typing as t

import ansible
from ansible import constants as C
from ansible.plugins.loader import module_loader

#: The most files that are read for one module. In the largest collections, a module needs about
#: twenty.
_MAX_FILES = 64

#: Larger files are not read: no source file is that large.
_MAX_FILE_BYTES = 1024 * 1024

_IMPORT = re.compile(
    r"^[ \t]*from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)", re.MULTILINE
)

#: Parts of core that mention no_log or are large, and declare no parameter.
_CORE = (
    "ansible.module_utils.basic",
    "ansible.module_utils.common",
    "ansible.module_utils._internal",
    "ansible.module_utils.six",
)


def hidden_parameters(action: str) -> frozenset[str]:
    """Return the names of the parameters, with their aliases.

    Empty if the module is not found, or is no Python source.

    Args:
        action: the name of the module, as a task resolves it.
    """
    context = module_loader.find_plugin_with_context(action)
    path = getattr(context, "plugin_resolved_path", None)
    found: set[str] = set()
    waiting, seen = [str(path)] if path else [], t.cast("set[str]", set())
    while waiting and len(seen) < _MAX_FILES:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        source = _source(file)
        if "no_log" in source:
            found |= _declared(source)
        waiting += _imported(file, source)
    return frozenset(found)


def _source(path: str) -> str:
    try:
        if not path.endswith(".py") or os.path.getsize(path) > _MAX_FILE_BYTES:
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _declared(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        for name, value in _entries(node):
            entries = dict(_entries(value))
            if name and _is_true(entries.get("no_log")):
                found |= {name, *_texts(entries.get("aliases"))}
    return found


def _entries(node: ast.AST) -> t.Iterator[tuple[str, ast.AST]]:
    """Yield (name, value) of a dictionary, written with braces or as a call with keywords."""
    if isinstance(node, ast.Call):
        yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _is_true(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _texts(node: ast.AST | None) -> list[str]:
    elements = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    return [
        one.value
        for one in elements
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


def _imported(path: str, source: str) -> t.Iterator[str]:
    """Yield the files of module_utils that a file imports from."""
    for module, names in _IMPORT.findall(source):
        whole = _absolute(path, module)
        if ".module_utils" not in whole or whole.startswith(_CORE):
            continue
        for folder in _folders(path, whole):
            base = os.path.join(folder, *whole.split("."))
            found = [f"{base}.py", os.path.join(base, "__init__.py")]
            found += [
                os.path.join(base, f"{name.split()[0]}.py")
                for name in names.strip("()").split(",")
                if name.split()
            ]
            yield from filter(os.path.isfile, found)


def _absolute(path: str, module: str) -> str:
    """Return the full name of a module that a file imports.

    A relative name is resolved by the path of the file. Empty if the path is in no collection.
    """
    level = len(module) - len(module.lstrip("."))
    if not level:
        return module
    folders = os.path.dirname(path).split(os.sep)
    above = folders[: len(folders) - level + 1]
    start = next(
        (index for index in range(len(above) - 1, -1, -1) if above[index] == "ansible_collections"),
        None,
    )
    return "" if start is None else ".".join([*above[start:], module.lstrip(".")]).rstrip(".")


def _folders(path: str, module: str) -> t.Iterator[str]:
    """Yield the folders that may contain the top package of a module."""
    if module.startswith("ansible."):
        yield os.path.dirname(os.path.dirname(os.path.abspath(ansible.__file__)))
        return
    before, found, dummy = path.rpartition(f"{os.sep}ansible_collections{os.sep}")
    if found:
        yield before
    for folder in getattr(C, "COLLECTIONS_PATHS", None) or ():
        yield os.path.expanduser(str(folder)).removesuffix(f"{os.sep}ansible_collections")
