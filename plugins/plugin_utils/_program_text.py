# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program out of several module_utils files, to be run on a host by Python's -c.

Private to the collection treekill.remote.

Every start of an interpreter on every host pays for each line that it compiles, more than for running it. So docstrings, comments,
annotations and what nothing refers to stay at home, and what a file imports within a function goes along as a part of its own,
which is compiled when that line is reached. All parts share one namespace.
"""

from __future__ import annotations

import ast
import collections
import pathlib
import re
from collections.abc import Iterable

_PACKAGE = "ansible_collections.treekill.remote.plugins.module_utils."
_FOLDER = pathlib.Path(__file__).resolve().parent.parent / "module_utils"

# How a part finds those that it needs. P: the parts, see program_parts(). loaded: the names of those that are there.
LOAD = r"""
def load(name):
 if name not in loaded:
  loaded.add(name)
  exec(P[P.index(name) + 1], globals())
"""


class ProgramTexts:
    """The texts of all files that some programs consist of."""

    def __init__(self, entries: dict[str, str]) -> None:
        """Read them.

        Args:
            entries: by the name of the file that a program begins with, the function that whoever runs its first part calls.

        Raises:
            ValueError: two files give something the same name, or import something under another one.
        """
        self._files: dict[str, _File] = {}
        queue = collections.deque(entries)
        while queue:
            this = queue.popleft()
            if this not in self._files:
                self._files[this] = _File(this)
                queue.extend(self._files[this].eager + self._files[this].lazy)
        _check_names(self._files)
        used = _Used([file.tree for file in self._files.values()], frozenset(entries.values()))
        self._texts = {this: file.text(used) for this, file in self._files.items()}

    def parts(self, name: str, handed_over: str | None = None) -> list[str]:
        """The parts of one program: first what runs at once, then the name and the text of each part that it may load later, by `LOAD`.

        Args:
            name: of the file that the program begins with. Whoever runs the first part provides the list of all parts as P.
            handed_over: a file that is to work without the first part as well: what it needs of that comes a second time.
        """
        first = _in_order(name, self._files)
        again = self._reached(handed_over) if handed_over else set()
        parts = ["\n".join([*(self._texts[this] for this in first), f"loaded = {set(first)!r}"])]
        for this in sorted(self._reached(name).difference(first).union(again)):
            loads = "".join(f"load({other!r})\n" for other in self._files[this].eager)
            parts += [this, loads + self._texts[this]]
        return parts

    def _reached(self, name: str) -> set[str]:
        """A file and all that it imports, directly or not."""
        reached: set[str] = set()
        queue = [name]
        for this in queue:
            if this not in reached:
                reached.add(this)
                queue.extend(self._files[this].eager + self._files[this].lazy)
        return reached


def _check_names(files: dict[str, _File]) -> None:
    """All parts share one namespace: what two of them define, the later would take from the earlier."""
    owners: dict[str, str] = {}
    for this, file in files.items():
        for name in file.defined():
            if name != "TYPE_CHECKING" and owners.setdefault(name, this) != this:
                raise ValueError(f"{name} is defined in {owners[name]} and in {this}")


def _in_order(name: str, files: dict[str, _File]) -> list[str]:
    """The files that a file imports at its top, itself last: each after those that it needs."""
    order: list[str] = []

    def add(this: str) -> None:
        for other in files[this].eager:
            add(other)
        if this not in order:
            order.append(this)

    add(name)
    return order


class _File(ast.NodeTransformer):
    """One file, down to what runs. eager and lazy: the names of the files that it imports, at its top and within functions."""

    def __init__(self, name: str) -> None:
        self.eager: list[str] = []
        self.lazy: list[str] = []
        self._depth = 0
        self.tree: ast.Module = self.visit(ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8"), name))

    def defined(self) -> set[str]:
        """The functions, classes and constants that stand at its top."""
        names = set()
        for node in self.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                targets = [element for target in node.targets for element in (target.elts if isinstance(target, ast.Tuple) else [target])]
                names.update(target.id for target in targets if isinstance(target, ast.Name))
        return names

    def text(self, used: _Used) -> str:
        text = ast.unparse(ast.fix_missing_locations(used.visit(self.tree)))
        # The unparser writes every string on one line, so what begins a line is indentation; one blank is enough of it.
        text = re.sub(r"^( {4})+", lambda indent: " " * (len(indent.group()) // 4), text, flags=re.MULTILINE)
        return re.sub(r"\n+", "\n", text)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        module = node.module or ""
        if not module.startswith(_PACKAGE):
            return node
        if any(alias.asname for alias in node.names):
            raise ValueError(f"import of {module} in line {node.lineno}: the parts of a program share one namespace, nothing can have a second name")
        name = module[len(_PACKAGE) :]
        if not self._depth:
            self.eager.append(name)
            return None
        self.lazy.append(name)
        return ast.parse(f"load({name!r})").body[0]

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(statement) for statement in node.orelse]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1
        return _without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return _without_docstring(self.generic_visit(node))

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return _without_docstring(self.generic_visit(node))


def _without_docstring(node: ast.AST) -> ast.AST:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]
    return node


class _Used(ast.NodeTransformer):
    """Leaves out the functions, methods, classes and constants whose name occurs nowhere, and what only they would need."""

    # Only people at a prompt and failed tests see these.
    _NEVER = frozenset({"__repr__", "__str__"})

    def __init__(self, trees: Iterable[ast.Module], entries: frozenset[str]) -> None:
        # What is mentioned outside all definitions, and within each of them, by name. Where two have the same name, one being used is enough.
        self._mentioned: dict[str, set[str]] = {"": set(entries)}
        for tree in trees:
            self._note(tree, "")
        self._names: set[str] = set()
        queue = [""]
        for name in queue:
            new = self._mentioned.get(name, set()) - self._names
            self._names |= new
            queue.extend(new)

    def _note(self, node: ast.AST, owner: str) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._mentioned[owner].add(node.id)
        elif isinstance(node, ast.Attribute):
            self._mentioned[owner].add(node.attr)
        for child in ast.iter_child_nodes(node):
            name = self._defines(child)
            if name not in self._NEVER:
                inner = name or owner
                self._mentioned.setdefault(inner, set())
                self._note(child, inner)

    @staticmethod
    def _defines(node: ast.AST) -> str:
        """The name that a node defines; empty where it defines none, or one that the language itself uses."""
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name = node.name
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        else:
            return ""
        return name if name in _Used._NEVER or not name.startswith("__") else ""

    def _is_dead(self, node: ast.AST) -> bool:
        """Whether a node defines a name that those parts of the program that count do not mention."""
        name = self._defines(node)
        return bool(name) and name not in self._names

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, (ast.Module, ast.ClassDef)):
            node.body = [child for child in node.body if not self._is_dead(child)] or [ast.Pass()]
        return super().generic_visit(node)
