# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that look like misspelt options of this collection: one warning before the first task.

Section [treekill] and TREEKILL_* in the environment belong to the collection, so each unknown name
there is reported. A variable of Ansible may be the user's own, whatever its prefix. It is reported
only if it is spelt almost as an option is.

Only names are read, never values. Files of variables are searched as text. To parse those of 200
hosts would take longer than all else that this collection does at the start of a run. A name that
only a task brings (include_vars, a dynamic include) is not seen, nor is one in a file that ansible-
vault has encrypted.
"""

from __future__ import annotations

import configparser
import dataclasses
import functools
import json
import os
import re
import stat
import typing as t

from ansible import constants as C
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import KEEP
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill import files, outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import verbose
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._lease import transfer

if t.TYPE_CHECKING:
    from ansible.inventory.manager import InventoryManager
    from ansible.playbook.play import Play
    from ansible.playbook.role import Role
    from ansible.utils.display import Display

#: Options as variables of Ansible and of the environment begin with one of these.
_PREFIXES = ("treekill_", "TREEKILL_")
_OF_ENVIRONMENT = "TREEKILL_"

#: How alike a variable and an option have to be after the prefix, as a ratio of difflib.
#:
#: Each option may lack a letter: `trck` has 0.89 with `track`. Words of their own are below it, as
#: `trace` with 0.8, and `finished` with 0.857 to `finish`.
_ALIKE = 0.86

#: The words of the warning.
_IS_NOT = "is not an option of this collection"
_ARE_NOT = "these names are not options of this collection"

_KNOWN_VARIABLES = options.ALL_VARIABLES | {*files.VARIABLES}

#: Options, and what the collection itself puts into the environment of a run.
_KNOWN_ENVIRONMENT = options.ENVIRONMENT | {
    endpoint.ENVIRONMENT,
    outcome.ENVIRONMENT,
    transfer.VARIABLE,
    KEEP.partition("=")[0],
}

#: The name of a variable at the beginning of a line, as YAML writes the topmost keys of a file.
_IN_YAML = re.compile(rb"^[\"']?((?i:treekill_)\w+)[\"']?[ \t]*:(?:\s|\Z)", re.MULTILINE)

#: Files of variables that are searched at most, and the bytes that one of them may have.
_MOST_FILES = 1000
_MOST_BYTES = 1 << 20

#: Names in one warning.
_MOST_NAMES = 10

_SET_FACT = ("set_fact", "ansible.builtin.set_fact", "ansible.legacy.set_fact")


@dataclasses.dataclass(frozen=True)
class UnknownName:
    """A name, the place where it was found, and the option that it may stand for, or None."""

    name: str
    place: str
    nearest: str | None

    def __str__(self) -> str:
        nearest = f" (nearest: {self.nearest})" if self.nearest else ""
        return f"{self.name} {self.place}{nearest}"


def _nearest(name: str, known: t.Collection[str]) -> str | None:
    """Return the known name that is most like a name, or None. Case does not count."""
    import difflib  # noqa: PLC0415  # takes 3 ms, in a run that has an unknown name

    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    return lower[near[0]] if near else None


# 200 hosts may have the same variables.
@functools.lru_cache(maxsize=4096)
def _misspelt(variable: str) -> str | None:
    """Return the option that a variable is meant for, or None for a variable of the user's own.

    The prefix is not compared: it alone would make `treekill_user` like `treekill_kill_wait`. A
    variable without the `kill_` of its option, such as `treekill_timeout`, is meant for it.
    """
    import difflib  # noqa: PLC0415  # as above

    stems = {one.lower().removeprefix(_PREFIXES[0]): one for one in options.ALL_VARIABLES}
    stem = variable.lower().removeprefix(_PREFIXES[0])
    if f"kill_{stem}" in stems:
        return stems[f"kill_{stem}"]
    near = difflib.get_close_matches(stem, stems, n=1, cutoff=_ALIKE)
    return stems[near[0]] if near else None


class _Seen:
    """The files and names that this process has searched and reported.

    ansible-console loads the callback repeatedly.

    Inventories are known by the ids of their objects, which live as long as the process.
    """

    run = False
    inventories: t.ClassVar[set[int]] = set()
    files: t.ClassVar[set[str]] = set()
    names: t.ClassVar[set[str]] = set()


def warn_of_unknown_names(play: Play, display: Display) -> None:
    """Warn once of each misspelt name in the run's settings, the inventory and the play."""
    try:
        new = {one.name: one for one in _unknown(play) if one.name not in _Seen.names}
    except Exception as error:  # noqa: BLE001  # a play of any form must go on
        # Only the type: the text of an error may quote a file.
        verbose(
            display, f"treekill.remote: names of options were not checked: {type(error).__name__}"
        )
        return
    if not new:
        return
    _Seen.names.update(new)
    shown = [str(one) for one in new.values()][:_MOST_NAMES]
    if len(new) > len(shown):
        shown.append(f"{len(new) - len(shown)} more")
    if len(shown) == 1:
        display.warning(f"treekill.remote: {shown[0]} {_IS_NOT}.")
    else:
        display.warning(f"treekill.remote: {_ARE_NOT}: {', '.join(shown)}.")


def _unknown(play: Play) -> t.Iterator[UnknownName]:
    manager = play.get_variable_manager()
    if not _Seen.run:
        _Seen.run = True
        yield from unknown_keys(str(getattr(C, "CONFIG_FILE", None) or ""))
        yield from unknown_environment(os.environ)
        yield from unknown_variables(manager.extra_vars, "in the extra variables")
    if id(manager._inventory) not in _Seen.inventories:
        _Seen.inventories.add(id(manager._inventory))
        yield from _of_inventory(manager._inventory)
    yield from _of_files(_files_of_inventory(manager._inventory, play.get_loader().get_basedir()))
    yield from _of_play(play)


def unknown_keys(path: str) -> t.Iterator[UnknownName]:
    """Return the unknown keys of section treekill in a configuration file."""
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return  # core has reported it, or reads it in another way
    if parser.has_section(options.SECTION):
        for name in parser[options.SECTION]:
            if name not in options.KEYS and name not in parser.defaults():
                place = f"in [{options.SECTION}] of {path}"
                yield UnknownName(name, place, _nearest(name, options.KEYS))


def unknown_environment(environment: t.Iterable[str]) -> t.Iterator[UnknownName]:
    """Return the unknown names of environment variables.

    A name in lower case is returned only if it would be an option in upper case, or almost.
    """
    for name in environment:
        if name in _KNOWN_ENVIRONMENT:
            continue
        if name.startswith(_OF_ENVIRONMENT):
            yield UnknownName(name, "in the environment", _nearest(name, options.ENVIRONMENT))
        elif name.startswith(_PREFIXES) and (option := _misspelt(name)):
            yield UnknownName(name, "in the environment", _nearest(option, options.ENVIRONMENT))


def unknown_variables(names: t.Iterable[object] | None, place: str) -> t.Iterator[UnknownName]:
    """Return the misspelt names among those of Ansible's variables."""
    for name in names or ():
        if (
            isinstance(name, str)
            and name.startswith(_PREFIXES)
            and name not in _KNOWN_VARIABLES
            and name.isidentifier()
            and (option := _misspelt(name))
        ):
            yield UnknownName(name, place, option)


def _of_inventory(inventory: InventoryManager) -> t.Iterator[UnknownName]:
    for kind, holders in (("group", inventory.groups), ("host", inventory.hosts)):
        for name, holder in holders.items():
            yield from unknown_variables(holder.vars, f"of {kind} {name}")


def _files_of_inventory(inventory: InventoryManager, playbooks: str) -> t.Iterator[str]:
    """Return the files of variables for hosts and groups, beside inventories and playbooks."""
    folders = [playbooks]
    for source in inventory._sources or ():
        path = os.path.abspath(str(source))
        folders.append(path if os.path.isdir(path) else os.path.dirname(path))
    for folder in dict.fromkeys(folders):
        for kind, names in (("group_vars", inventory.groups), ("host_vars", inventory.hosts)):
            path = os.path.join(folder, kind)
            # Each once: core keeps what it has read of them as well.
            if path in _Seen.files or not os.path.isdir(path):
                continue
            _Seen.files.add(path)
            with os.scandir(path) as entries:
                found = {entry.name: entry for entry in entries}
            stems = {os.path.splitext(entry)[0] for entry in found}
            for name in names:
                if name in found or name in stems:
                    yield from _files_of(name, found)


def _files_of(name: str, found: t.Mapping[str, os.DirEntry[str]]) -> t.Iterator[str]:
    """Return the files that core loads for a host or group: of several candidates only the first.

    This is DataLoader.find_vars_files of ansible-core. `found`: the entries of the directory.
    """
    for extension in ("", *C.YAML_FILENAME_EXTENSIONS):
        entry = found.get(name + extension)
        if entry is None:
            continue
        if not entry.is_dir():
            yield entry.path
            return
        for parent, folders, children in os.walk(entry.path):
            folders[:] = [folder for folder in folders if _is_loaded(folder, ("",))]
            for child in children:
                if _is_loaded(child, ("", *C.YAML_FILENAME_EXTENSIONS)):
                    yield os.path.join(parent, child)
        return


def _is_loaded(name: str, extensions: t.Collection[str]) -> bool:
    """Whether core loads an entry with such a name below the directory of a host or group."""
    hidden = name.startswith(".") or name.endswith("~")
    return not hidden and os.path.splitext(name)[1] in extensions


def _of_files(paths: t.Iterable[str]) -> t.Iterator[UnknownName]:
    for number, path in enumerate(paths):
        if number == _MOST_FILES:
            return
        yield from unknown_variables(names_in(path), f"in {path}")


def names_in(path: str) -> list[str]:
    """Return the topmost names in a file of variables, at least those with the prefix.

    Empty for a file that is large, encrypted or can't be read.
    """
    try:
        status = os.stat(path)
        # A pipe can be read once, and that by core.
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            return []
        with open(path, "rb", buffering=0) as file:
            content = file.read()
    except OSError:
        return []  # core reports it
    if b"treekill_" not in content and b"TREEKILL_" not in content:
        return []
    if content.lstrip().startswith(b"{"):
        try:
            return [*json.loads(content)]
        except (ValueError, RecursionError):
            return []  # core reports it, or it is a mapping of YAML on one line
    return [name.decode("ascii", "replace") for name in _IN_YAML.findall(content)]


def _of_play(play: Play) -> t.Iterator[UnknownName]:
    place = "in a play"
    yield from unknown_variables(play.vars, place)
    yield from unknown_variables([prompt.get("name") for prompt in play.vars_prompt or ()], place)
    base = play.get_loader().get_basedir()
    yield from _of_files(
        os.path.join(base, name)
        for name in play.get_vars_files()
        if isinstance(name, str) and "{{" not in name
    )
    for role in _roles(play):
        place = f"of role {role.get_name()}"
        for variables in (role._default_vars, role._role_vars, role._role_params):
            yield from unknown_variables(variables, place)
        yield from _of_blocks(role.get_task_blocks())
    for blocks in (play.pre_tasks, play.tasks, play.post_tasks, play.handlers):
        yield from _of_blocks(blocks or ())


def _roles(play: Play) -> t.Iterator[Role]:
    for role in play.get_roles():
        yield from role.get_all_dependencies()
        yield role


def _of_blocks(blocks: t.Iterable[t.Any]) -> t.Iterator[UnknownName]:
    """Walk blocks and tasks. A block has lists of either in `block`, `rescue` and `always`."""
    stack = [*blocks]
    while stack:
        item = stack.pop()
        if item.vars:
            yield from unknown_variables(item.vars, _place_of(item))
        if hasattr(item, "block"):
            stack += [*item.block, *item.rescue, *item.always]
        elif item.action in _SET_FACT:
            yield from unknown_variables(item.args, _place_of(item))


def _place_of(item: t.Any) -> str:
    path = item.get_path() if hasattr(item, "get_path") else ""
    return f"at {path}" if path else "of a task"
