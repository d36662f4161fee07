# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dataclasses that are JSON objects outside of a process.

They are made from an object with each member checked, and written as an object again.

The fields of a class are the keys of its object, and their annotations are the types of its values.
So a key is written once, and a misspelt key is an attribute that mypy does not know. A library such
as pydantic is not on every controller.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import types
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    FrameError,
    JsonObject,
)

T = t.TypeVar("T")

#: Check one member, and return it as the field holds it.
_Decode = t.Callable[[t.Any], t.Any]


class MessageError(FrameError):
    """A JSON object that is not the expected message.

    The text names class and key. It quotes no value, because that may be a secret.
    """


class JsonRecord:
    """Base of the frozen dataclasses that are sent between processes.

    Fields may be str, bool, int, float, None, an enum, another dataclass, a tuple of these, or a
    dict from str to these. A field of type Any is not checked.
    """

    @classmethod
    def from_message(cls: type[T], content: object) -> T:
        """Make a record from a JSON object. A field with a default may be missing.

        Raises:
            MessageError: a key is missing or unknown, or its value has another type.
        """
        return decode(cls, content)

    def to_message(self) -> JsonObject:
        """Return the JSON object from which `from_message` makes an equal record."""
        return encode(self)


def decode(kind: type[T], content: object) -> T:
    """Make a dataclass of this kind from a JSON object.

    Raises:
        MessageError: as in `JsonRecord.from_message`.
    """
    name = kind.__name__
    if not isinstance(content, dict):
        raise MessageError(f"{name} is {_kind_of(content)}, and no object")
    values: dict[str, t.Any] = {}
    # A report has thousands of processes. Most members need no conversion, and so no call.
    for key, required, as_they_are, decode_value, dummy in _fields_of(kind):
        if key in content:
            value = content[key]
            values[key] = value if type(value) in as_they_are else decode_value(value)
        elif required:
            raise MessageError(f"{name} has no {key}")
    if len(values) < len(content):
        raise MessageError(
            f"{name} has the unknown key {min(map(str, content.keys() - values.keys()))!r}"
        )
    return kind(**values)


def encode(record: object) -> JsonObject:
    """Return a dataclass as a JSON object."""
    values = [(field, getattr(record, field.name)) for field in _fields_of(type(record))]
    return {field.name: value if field.free else _encoded(value) for field, value in values}


class _Field(t.NamedTuple):
    """One field of a dataclass, and the key of that name."""

    name: str
    required: bool
    #: Types whose values need no check and no conversion.
    as_they_are: frozenset[type]
    decode: _Decode
    #: Whether any value is allowed, which is then written as it is.
    free: bool


_AS_THEY_ARE: dict[object, frozenset[type]] = {
    str: frozenset({str}),
    bool: frozenset({bool}),
    int: frozenset({int}),
    # A float may be NaN or infinite, and an int may be too large for a float.
    float: frozenset(),
    types.NoneType: frozenset({types.NoneType}),
}


#: The fields of each class that was met: annotations are read once.
_known: dict[type, tuple[_Field, ...]] = {}


def _fields_of(kind: type) -> tuple[_Field, ...]:
    if kind not in _known:
        hints = t.get_type_hints(kind)
        _known[kind] = tuple(
            _field_of(kind, field, hints[field.name])
            for field in dataclasses.fields(t.cast("type[t.Any]", kind))
        )
    return _known[kind]


def _field_of(kind: type, field: dataclasses.Field[t.Any], hint: t.Any) -> _Field:
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    alternatives = t.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    as_they_are: set[type] = set().union(*(_AS_THEY_ARE.get(one, ()) for one in alternatives))
    free = hint is t.Any or t.Any in t.get_args(hint)
    return _Field(
        field.name,
        required,
        frozenset(as_they_are),
        _decoder_of(hint, f"{kind.__name__}.{field.name}"),
        free,
    )


def _decoder_of(hint: t.Any, where: str) -> _Decode:
    """Return the function that checks a member against an annotation.

    `where`: class and key, for the error.
    """
    if isinstance(hint, types.UnionType):
        # Only "or None" is used.
        (one,) = [
            _decoder_of(other, where) for other in t.get_args(hint) if other is not types.NoneType
        ]
        return lambda value: None if value is None else one(value)
    if t.get_origin(hint) is tuple:
        return _decoder_of_tuple(t.get_args(hint), where)
    if t.get_origin(hint) is dict:
        return functools.partial(_dict, _decoder_of(t.get_args(hint)[1], where), where)
    return _decoder_of_class(hint, where)


def _decoder_of_class(kind: t.Any, where: str) -> _Decode:
    if kind is t.Any:
        return lambda value: value
    if kind in _AS_THEY_ARE:
        return functools.partial(_plain, kind, where)
    if issubclass(kind, enum.Enum):
        return functools.partial(_enum, kind, where)
    return functools.partial(decode, kind)


def _decoder_of_tuple(hints: tuple[t.Any, ...], where: str) -> _Decode:
    if hints[-1] is Ellipsis:
        each = _decoder_of(hints[0], where)
        return lambda value: tuple(map(each, _list(value, where)))
    decoders = [_decoder_of(hint, where) for hint in hints]

    def decode_fixed(value: object) -> tuple[t.Any, ...]:
        members = _list(value, where)
        if len(members) != len(decoders):
            raise MessageError(f"{where} has {len(members)} members instead of {len(decoders)}")
        return tuple(one(member) for one, member in zip(decoders, members, strict=True))

    return decode_fixed


def _plain(kind: type, where: str, value: object) -> object:
    if not is_plain(value, kind) and not (kind is float and is_plain(value, int)):
        raise MessageError(f"{where} is {_kind_of(value)}, and no {kind.__name__}")
    if kind is float and not _is_finite(t.cast(float, value)):
        raise MessageError(f"{where} is no finite number")
    return value


def is_plain(value: object, kind: type) -> bool:
    """Whether a value is of this kind. True and False are no integers here."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False  # No float holds an int of this size.


def _list(value: object, where: str) -> list[t.Any] | tuple[t.Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise MessageError(f"{where} is {_kind_of(value)}, and no list")
    return value


def _dict(decode_value: _Decode, where: str, value: object) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise MessageError(f"{where} is {_kind_of(value)}, and no object")
    return {key: decode_value(member) for key, member in value.items()}


def _enum(kind: type[enum.Enum], where: str, value: object) -> enum.Enum:
    try:
        return kind(value)
    except ValueError:
        raise MessageError(
            f"{where} is none of {', '.join(repr(one.value) for one in kind)}"
        ) from None


def _kind_of(value: object) -> str:
    return f"a {type(value).__name__}"


_PLAIN = frozenset({str, bool, int, float, type(None)})


def _encoded(value: t.Any) -> t.Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return encode(value)
    if isinstance(value, (tuple, list)):
        return [_encoded(one) for one in value]
    if isinstance(value, dict):
        return {key: _encoded(one) for key, one in value.items()}
    return value
