# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of ansible-core that the collection uses.

All of them are checked, all of them exist on a core that is known, and a missing one is reported.
"""

from __future__ import annotations

import ast
import functools
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible import __version__ as core_version
from ansible.plugins.callback import CallbackBase
from ansible_collections.treekill.remote.plugins.plugin_utils._core import api
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature

ROOT = Path(__file__).resolve().parents[5]

#: A plugin that names one of these loads with them or not at all. In that case core reports it for
#: the task that wanted the plugin.
OF_SINGLE_PLUGINS = (
    "_paramiko/",
    "_connection/recorded_action",
    "_connection/journal_action",
    "_connection/sweep_action",
)

ALL = [point for points in api._POINTS.values() for point in points]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A made-up module of core."""
    module = types.ModuleType("fake_core")
    monkeypatch.setattr(api._Warned, "warned", False)
    monkeypatch.setitem(sys.modules, "fake_core", module)
    yield module
    api.missing.cache_clear()


def imports() -> Iterator[tuple[str, str]]:
    """Return module:name of what the code takes from core, and where."""
    folder = ROOT / "plugins" / "plugin_utils"
    files = [
        path
        for path in folder.rglob("*.py")
        if not str(path.relative_to(folder)).startswith(OF_SINGLE_PLUGINS)
    ]
    assert files
    for path in sorted([*files, ROOT / "plugins" / "callback" / "guardian.py"]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.ImportFrom)
                and id(node) not in typing
                and (node.module or "").split(".")[0] == "ansible"
            ):
                yield from ((f"{node.module}:{name.name}", path.name) for name in node.names)


def is_looked_at(name: str) -> bool:
    """Whether a hook point is the name, in it, or, for a module, in that."""
    as_module = name.replace(":", ".") + ":"
    return any(
        point == name or point.startswith((f"{name}.", f"{name}(", as_module)) for point in ALL
    )


def test_whatever_is_imported_of_core_is_looked_at_before():
    # Its version, and what core itself reports if the callback can't be loaded.
    needless = {"ansible:__version__", "ansible.release:__version__"}
    assert [
        (name, where)
        for name, where in imports()
        if name not in needless and not is_looked_at(name)
    ] == []


def test_the_installed_core_has_it_all():
    assert api.missing() == {}
    assert api.warning(core_version) == ""
    assert all(api.is_supported(feature) for feature in Feature)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The events of core's class for callbacks; a test may change them."""
    api.missing.cache_clear()
    yield [name for name in dir(CallbackBase) if name.startswith("v2_")]
    api.missing.cache_clear()


def test_a_callback_that_takes_all_events_out_of_their_class_does_not_make_core_an_unknown_one(
    monkeypatch: pytest.MonkeyPatch, events: list[str]
):
    # A stdout callback of core's own tests does so to catch them by __getattr__: core sends them as
    # before.
    for name in events:
        monkeypatch.delattr(CallbackBase, name)
    assert api.missing() == {}


def test_a_single_event_that_is_gone_is_missing(monkeypatch: pytest.MonkeyPatch, events: list[str]):
    monkeypatch.delattr(CallbackBase, "v2_playbook_on_start")
    assert Feature.EVERYTHING in api.missing()


@pytest.mark.parametrize("feature", Feature, ids=lambda feature: feature.name)
def test_what_is_missing_is_named_with_what_is_lost_and_with_nothing_else(
    monkeypatch: pytest.MonkeyPatch, core: types.ModuleType, feature: Feature
):
    monkeypatch.setattr(
        api,
        "_POINTS",
        {**api._POINTS, feature: (*api._POINTS[feature], "fake_core:Gone.away(x)")},
    )
    api.missing.cache_clear()
    assert api.missing() == {feature: ("fake_core:Gone.away(x)",)}
    text = api.warning("9.9")
    assert "ansible-core 9.9 " in text
    assert "the collection needs: fake_core.Gone.away(x)." in text
    assert api.warning("9.9") == "", "once is enough"
    assert [other.name for other in Feature if other.value in text] == [feature.name]
    assert [other.name for other in Feature if not api.is_supported(other)] == (
        [feature.name] if feature is not Feature.EVERYTHING else [other.name for other in Feature]
    )


def test_with_everything_lost_no_part_of_it_is_told(
    monkeypatch: pytest.MonkeyPatch, core: types.ModuleType
):
    monkeypatch.setattr(
        api,
        "_POINTS",
        {Feature.EVERYTHING: ("fake_core:a",), Feature.RECAP: ("fake_core:b",)},
    )
    api.missing.cache_clear()
    text = api.warning("9.9")
    assert "needs: fake_core.a, fake_core.b. Therefore nothing is guarded" in text
    assert Feature.RECAP.value not in text


def by_name(one, /, *, two):
    """Return an attribute by its name."""


@functools.wraps(by_name)
def wrapped(*words, **named):
    """Take what the other takes."""


class Base:
    noted: int

    def __init__(self):
        self.base = 1


class Derived(Base):
    constant = 1

    def __init__(self, own):
        super().__init__()
        self.own = own

    @property
    def computed(self):
        """Return a computed attribute."""

    def method(self, one, two=None):
        """Take arguments with names."""

    @classmethod
    def of_class(cls, one):
        """Take a call without the class."""

    def catches(self, **named):
        """Take any name."""


def another_plugins(self, *args):
    """Replace the __init__ of a class, as another plugin does."""


class Patched:
    __init__ = another_plugins


another_plugins.__module__ = "another.plugin"


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("Derived", True),
        ("Derived.constant", True),
        ("Derived.own", True),
        ("Derived.base", True),
        ("Derived.noted", True),
        ("Derived.computed", True),
        ("Derived.nothing", False),
        ("Derived.method(one, two)", True),
        ("Derived.method(two)", True),
        ("Derived.method(one, three)", False),
        ("Derived.of_class(one)", True),
        ("Derived.of_class(two)", False),
        ("Derived.catches(whatever)", True),
        ("Derived.nothing(one)", False),
        ("Derived.constant(one)", False),
        ("an_object.method(one)", True),
        ("an_object.own", True),
        ("an_object.nothing", False),
        ("by_name(two)", True),
        ("by_name(three)", False),
        ("wrapped(two)", True),
        ("wrapped(three)", False),
        ("len(whatever)", True),
        ("nothing", False),
        ("nothing.at_all", False),
        ("Patched.whatever", True),
    ],
)
def test_a_name_is_there_where_an_object_or_a_function_would_have_it(
    core: types.ModuleType, path: str, there: bool
):
    vars(core).update(
        Derived=Derived,
        an_object=Derived(1),
        by_name=by_name,
        wrapped=wrapped,
        len=len,
        Patched=Patched,
    )
    assert api._is_there(f"fake_core:{path}") is there


def test_an_annotation_by_a_name_of_type_checkers_is_there(core: types.ModuleType):
    """Python 3.14 evaluates it when it is read, and earlier ones keep it as text."""
    lazily = "" if sys.version_info >= (3, 14) else "from __future__ import annotations\n"
    source = f"{lazily}class Later:\n    noted: OfTypeCheckers\n"
    exec(compile(source, "later.py", "exec", dont_inherit=True), vars(core))
    assert api._is_there("fake_core:Later.noted")
    assert not api._is_there("fake_core:Later.nothing")


def test_a_module_that_is_gone_is_missing():
    assert not api._is_there("ansible.no_such_module:name")
