# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program out of several module_utils files, to be run on a host by Python's -c.

Private to the collection treekill.remote.

Every start of an interpreter on every host pays for each line it compiles: docstrings, comments and annotations stay at home, and what a
file imports within a function goes along as a part of its own, which is compiled when that line is reached.
"""

from __future__ import annotations

import ast
import pathlib
import re

_PACKAGE = "ansible_collections.treekill.remote.plugins.module_utils."
_FOLDER = pathlib.Path(__file__).resolve().parent.parent / "module_utils"


class _Part(ast.NodeTransformer):
    """Strips one file down to what runs. eager and lazy: the names of the files that it imports, at its top and within functions."""

    def __init__(self) -> None:
        self.eager: list[str] = []
        self.lazy: list[str] = []
        self._depth = 0

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        module = node.module or ""
        if not module.startswith(_PACKAGE):
            return node
        if any(alias.asname for alias in node.names):
            raise ValueError(f"line {node.lineno}: all parts of a program share one namespace, an import can't rename")
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

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1
        return _without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        return _without_docstring(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        return _without_docstring(node)


def _without_docstring(node: ast.FunctionDef | ast.ClassDef | ast.Module) -> ast.AST:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]
    return node


def _strip(name: str) -> tuple[str, _Part]:
    part = _Part()
    tree = ast.fix_missing_locations(part.visit(ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8"))))
    text = re.sub(r"^( {4})+", lambda indent: " " * (len(indent.group()) // 4), ast.unparse(tree), flags=re.MULTILINE)
    return re.sub(r"\n+", "\n", text), part


def program_text(name: str) -> str:
    """The parts, separated by NUL: first the program, then the name and the text of each part that it may load later.

    The program expects the list of its parts as P, the words of its command line in sys.argv[1:], and calls main() of the named file.
    """
    eager: list[str] = []
    done: list[str] = []
    later: list[str] = []

    def add(this: str, texts: list[str]) -> None:
        if this in done:
            return
        done.append(this)
        text, part = _strip(this)
        for other in part.eager:
            add(other, texts)
        texts.append(text)
        later.extend(part.lazy)

    add(name, eager)
    parts = ["\n".join([*eager, _LOAD, "main(sys.argv[1:])"])]
    for this in later:
        texts: list[str] = []
        add(this, texts)
        if texts:
            parts += [this, "\n".join(texts)]
    return "\0".join(parts)


_LOAD = """import sys
def load(name):
 if name in P:
  at = P.index(name)
  text = P[at + 1]
  del P[at:at + 2]
  exec(text, globals())"""
