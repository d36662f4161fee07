# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles several files of module_utils into one program, to be run on a host by `python -c`.

Private to the collection treekill.remote.

Each start of an interpreter on each host pays for every line that it compiles, more than for
running it. So docstrings, comments, annotations and unused definitions are left out. A file that is
imported within a function becomes a separate part, which is compiled when that line is reached. All
parts share one namespace.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator

_PACKAGE = "ansible_collections.treekill.remote.plugins.module_utils."
_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "module_utils"

_STRING = r'"""[\s\S]*?"""|"(?:[^"\\\n]|\\[\s\S])*"|\'(?:[^\'\\\n]|\\[\s\S])*\''
_LINE_END = r" *(?:#[^\n]*)?\n"
#: A string, which stays. A line end within brackets, which becomes nothing, or a space before a
#: word. The end of a line with its comment, all following lines that hold nothing else, and the
#: indentation of the next line. An operator, with the spaces and line ends around it.
_SHORTENED = re.compile(
    rf"(?P<string>{_STRING})"
    rf"|(?<=[(\[{{,])(?:{_LINE_END})+ *|(?:{_LINE_END})+ *(?=[)\]}}])"
    rf"|(?P<word>(?:{_LINE_END})+ *(?=(?:and|or|in|is|else) ))"
    rf"|(?:(?<=\S) *|(?:{_LINE_END})+ *(?=[=<>+/%|&!]))"
    r"(?P<operator>[,:=<>+*/%|&!-]+)(?: +(?=[^ #\n]))?"
    rf"|(?P<line>(?:{_LINE_END})+)(?P<indent> *)"
)
_WORDS = re.compile(rf"(?:{_STRING})|#[^\n]*|([^\W\d]\w*)")

#: Left out: only a user at a Python prompt and a failed test see their results.
_NEVER = frozenset({"__repr__", "__str__"})

#: Loads a part that another one needs. P: the parts, see ProgramTexts.parts(). loaded: the names of
#: those that are loaded.
LOAD = r"""
def load(name):
 if name not in loaded:
  loaded.add(name)
  exec(P[P.index(name) + 1], globals())
"""


class ProgramTexts:
    """The texts of all files of some programs."""

    def __init__(self, entries: dict[str, str]) -> None:
        """Read them.

        Args:
            entries: by the name of the file that a program begins with, the function that is called
                after the program's first part.

        Raises:
            ValueError: two files define the same name, or import something under another name.
        """
        self._files: dict[str, _File] = {}
        queue = collections.deque(entries)
        while queue:
            this = queue.popleft()
            if this not in self._files:
                self._files[this] = _File(this)
                queue.extend(self._files[this].eager + self._files[this].lazy)
        _check_names(self._files)
        used = _used_names(self._files.values(), entries.values())
        self._texts = {this: file.text(used) for this, file in self._files.items()}

    def parts(self, name: str, handed_over: str | None = None) -> list[str]:
        """Return the parts of one program.

        First comes the part that runs at once. Then come the name and the text of each part that it
        may load later, by `LOAD`.

        Args:
            name: of the file that the program begins with. The caller of the first part provides
                the list of all parts as P.
            handed_over: a file that has to work without the first part as well. What it needs of
                the first part is contained a second time.
        """
        first = _in_order(name, self._files)
        # As a set, its text would differ from process to process.
        loaded = ", ".join(map(repr, first))
        again = self._reached(handed_over) if handed_over else set()
        parts = ["\n".join([*(self._texts[this] for this in first), f"loaded = {{{loaded}}}"])]
        for this in sorted(self._reached(name).difference(first).union(again)):
            loads = "".join(f"load({other!r})\n" for other in self._files[this].eager)
            parts += [this, loads + self._texts[this]]
        return parts

    def _reached(self, name: str) -> set[str]:
        """Return a file and all that it imports, directly or not."""
        reached: set[str] = set()
        queue = [name]
        for this in queue:
            if this not in reached:
                reached.add(this)
                queue.extend(self._files[this].eager + self._files[this].lazy)
        return reached


def _check_names(files: dict[str, _File]) -> None:
    """Raise ValueError if two parts define the same name: all parts share one namespace."""
    owners: dict[str, str] = {}
    for this, file in files.items():
        for name in file.defined():
            if name != "TYPE_CHECKING" and owners.setdefault(name, this) != this:
                raise ValueError(f"{name} is defined in {owners[name]} and in {this}")


def _in_order(name: str, files: dict[str, _File]) -> list[str]:
    """Return the files that a file imports at its top, each after those it needs, itself last."""
    order: list[str] = []

    def add(this: str) -> None:
        for other in files[this].eager:
            add(other)
        if this not in order:
            order.append(this)

    add(name)
    return order


@dataclasses.dataclass
class _Definition:
    """A definition of a name in a file, or the file itself, which has no name.

    Places are offsets into its text.
    """

    name: str
    start: int
    end: int
    #: Whether it is at the top of its file, or in a class that does: then it can be left out.
    top: bool
    #: The places within it where another name is defined, or something is left out.
    apart: list[tuple[int, int]] = dataclasses.field(default_factory=list)


class _File:
    """One file, and the parts of it that are left out.

    eager, lazy: the names of the files that it imports, at its top and within functions.

    The text is cut at the places that the parser reports. To generate the text from the tree would
    cost each run about 0.1 s of processor time.
    """

    def __init__(self, name: str) -> None:
        self.eager: list[str] = []
        self.lazy: list[str] = []
        # The parser counts bytes.
        self._text = (_FOLDER / (name.replace(".", "/") + ".py")).read_text(encoding="ascii")
        if re.search(r"\bf[\"']", self._text):
            raise ValueError(f"{name} has a string with names in it, which are not found there")
        self._lines = [0, 0, *(match.end() for match in re.finditer("\n", self._text))]
        self._tree = ast.parse(self._text, name)
        self._cuts: list[tuple[int, int, str]] = []
        self._definitions = [_Definition("", 0, len(self._text), top=False)]
        self._body(self._tree, self._definitions[0], in_function=False)

    def defined(self) -> set[str]:
        """Return the functions, classes and constants at its top."""
        names = set()
        for node in self._tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                targets = [
                    element
                    for target in node.targets
                    for element in (target.elts if isinstance(target, ast.Tuple) else [target])
                ]
                names.update(target.id for target in targets if isinstance(target, ast.Name))
        return names

    def mentions(self) -> Iterator[tuple[str, set[str]]]:
        """Yield each defined name with the names that occur in its definition.

        The name is empty for what is outside of all definitions.
        """
        for one in self._definitions:
            words: set[str] = set()
            place = one.start
            for start, end in [*sorted(one.apart), (one.end, one.end)]:
                words.update(_WORDS.findall(self._text, place, start))
                place = end
            yield one.name, words

    def text(self, used: set[str]) -> str:
        """Return the text for the hosts, without definitions of unused names."""
        dead = [
            (one.start, one.end, "")
            for one in self._definitions
            if one.top and one.name not in used
        ]
        pieces, place = ["\n"], 0
        for start, end, instead in sorted([*self._cuts, *dead]):
            if start >= place:
                pieces += [self._text[place:start], instead]
                place = end
        pieces.append(self._text[place:])
        return _SHORTENED.sub(_shorter, "".join(pieces)).strip("\n")

    # Through the statements. Nothing within an expression is left out.

    def _body(
        self, node: ast.Module | ast.stmt | ast.ExceptHandler, owner: _Definition, in_function: bool
    ) -> None:
        for part in ("body", "orelse", "finalbody", "handlers"):
            for child in getattr(node, part, ()):
                self._statement(child, node, owner, in_function)

    def _statement(
        self,
        node: ast.stmt | ast.ExceptHandler,
        parent: ast.AST,
        owner: _Definition,
        in_function: bool,
    ) -> None:
        at_top = isinstance(parent, ast.Module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE):
            self._import(node, at_top, owner, in_function)
        elif (
            isinstance(node, ast.If)
            and isinstance(node.test, ast.Name)
            and node.test.id == "TYPE_CHECKING"
        ):
            if node.orelse or not at_top:
                raise ValueError(
                    f"TYPE_CHECKING in line {node.lineno} is not only imports at the top of a file"
                )
            self._cut(owner, self._start(node), self._end(node))
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            # A class keeps a body even if all its members are left out.
            alone = isinstance(parent, ast.ClassDef) or getattr(parent, "body", None) == [node]
            self._cut(owner, self._start(node), self._end(node), "pass" if alone else "")
        elif isinstance(node, ast.AnnAssign) and node.value is None:
            self._cut(owner, self._start(node), self._end(node), "pass")
        elif name := _defined_name(node):
            start = min(
                [
                    self._start(node),
                    *(
                        self._start(decorator) - 1
                        for decorator in getattr(node, "decorator_list", ())
                    ),
                ]
            )
            inner = _Definition(
                name, start, self._end(node), top=at_top or isinstance(parent, ast.ClassDef)
            )
            owner.apart.append((inner.start, inner.end))
            self._definitions.append(inner)
            self._inside(node, inner, in_function)
        else:
            self._inside(node, owner, in_function)

    def _inside(
        self, node: ast.stmt | ast.ExceptHandler, owner: _Definition, in_function: bool
    ) -> None:
        if isinstance(node, ast.FunctionDef):
            for argument in [
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
                node.args.vararg,
                node.args.kwarg,
            ]:
                if argument is not None and argument.annotation is not None:
                    self._cut(
                        owner,
                        self._start(argument) + len(argument.arg),
                        self._end(argument.annotation),
                    )
            if node.returns is not None:
                self._cut(
                    owner,
                    self._text.rindex(" ->", 0, self._start(node.returns)),
                    self._end(node.returns),
                )
            in_function = True
        elif isinstance(node, ast.AnnAssign):
            self._cut(owner, self._end(node.target), self._end(node.annotation))
        self._body(node, owner, in_function)

    def _import(
        self, node: ast.ImportFrom, at_top: bool, owner: _Definition, in_function: bool
    ) -> None:
        if any(alias.asname for alias in node.names):
            raise ValueError(
                f"import of {node.module} in line {node.lineno}: the parts of a program share one"
                " namespace, nothing can have a second name"
            )
        name = str(node.module)[len(_PACKAGE) :]
        (self.lazy if in_function else self.eager).append(name)
        self._cut(
            owner,
            self._start(node),
            self._end(node),
            f"load({name!r})" if in_function else "" if at_top else "pass",
        )

    def _cut(self, owner: _Definition, start: int, end: int, instead: str = "") -> None:
        self._cuts.append((start, end, instead))
        owner.apart.append((start, end))

    def _start(self, node: ast.stmt | ast.expr | ast.arg | ast.ExceptHandler) -> int:
        return self._lines[node.lineno] + node.col_offset

    def _end(self, node: ast.stmt | ast.expr | ast.arg | ast.ExceptHandler) -> int:
        return self._lines[node.end_lineno or 0] + (node.end_col_offset or 0)


def _defined_name(node: ast.AST) -> str:
    """Return the name that a statement defines.

    It is empty if the statement defines none, or one that the language itself uses.
    """
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        name = node.name
    elif (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
    ):
        name = node.targets[0].id
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        name = node.target.id
    else:
        return ""
    return name if name in _NEVER or not name.startswith("__") else ""


def _shorter(match: re.Match[str]) -> str:
    """Return strings unchanged, one space for each level, and operators without spaces.

    No statement begins with such an operator, so a line that does is within brackets.
    """
    if match["line"]:
        return "\n" + " " * (len(match["indent"]) // 4)
    return match["string"] or match["operator"] or ("" if match["word"] is None else " ")


def _used_names(files: Iterable[_File], entries: Iterable[str]) -> set[str]:
    """Return the names that occur outside all definitions, or in the definition of a used name.

    If two definitions have the same name, both count as used when one is.
    """
    mentioned: dict[str, set[str]] = {"": set(entries)}
    for file in files:
        for name, words in file.mentions():
            if name not in _NEVER:
                mentioned.setdefault(name, set()).update(words)
    used: set[str] = set()
    queue = [""]
    for name in queue:
        new = mentioned.get(name, set()) - used
        used |= new
        queue.extend(new)
    return used - _NEVER
