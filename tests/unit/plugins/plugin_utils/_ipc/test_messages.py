# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each message arrives as it was sent.

What is not exactly that message is refused with the name of its class and key.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import (
    kill_report,
    messages,
    run_report,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    FrameReader,
    encode,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import (
    JsonRecord,
    MessageError,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import kill_order
from ansible_collections.treekill.remote.plugins.plugin_utils._records import (
    journal_records,
    writer_orders,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    ClosedRecord,
    OpenedRecord,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..report_factories import make_process, make_report

#: Control characters, half surrogates of undecodable bytes, other scripts.
TEXTS = st.text(st.sampled_from("ab \n\x1b\u2028\udcff\U0001f600日"), max_size=5)

MODULES = (messages, run_report, kill_report, kill_order, journal_records, writer_orders)


def kinds() -> list[type[JsonRecord]]:
    """Return all messages, and what they consist of."""
    found = [
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, JsonRecord)
    ]
    return sorted(
        {kind for kind in found if dataclasses.is_dataclass(kind)}, key=lambda kind: kind.__name__
    )


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for what a field of that annotation may hold."""
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(
            hint, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(hint)}
        )
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return st.one_of(*map(values_of, arguments))
    if typing.get_origin(hint) is tuple:
        return (
            st.lists(values_of(arguments[0]), max_size=2).map(tuple)
            if arguments[-1] is Ellipsis
            else st.tuples(*map(values_of, arguments))
        )
    if typing.get_origin(hint) is dict:
        return st.dictionaries(TEXTS, values_of(arguments[1]), max_size=2)
    free = {
        str: TEXTS,
        float: st.floats(allow_nan=False, allow_infinity=False),
        Any: st.none() | st.integers() | TEXTS,
    }
    return free[hint] if hint in free else st.from_type(hint)


#: One of each kind, with all its keys.
WHOLE = {kind: values_of(kind) for kind in kinds()}


#: Each field of each kind.
FIELDS = [(kind, field) for kind in kinds() for field in dataclasses.fields(kind)]  # type: ignore[arg-type]


def name_of(value: object) -> str:
    return (
        value.name
        if isinstance(value, dataclasses.Field)
        else getattr(value, "__name__", str(value))
    )


def smallest_of(hint: Any) -> Any:
    """Return the smallest value that a field of that annotation may hold."""
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(
            **{field.name: smallest_of(hints[field.name]) for field in dataclasses.fields(hint)}
        )  # type: ignore[operator]
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return None
    if typing.get_origin(hint) is tuple:
        return () if arguments[-1] is Ellipsis else tuple(map(smallest_of, arguments))
    if typing.get_origin(hint) is dict:
        return {}
    return next(iter(hint)) if issubclass(hint, enum.Enum) else hint()


def one_of(kind: type[JsonRecord]) -> dict[str, Any]:
    """Return a message of that kind, always an equal one."""
    return smallest_of(kind).to_message()


@pytest.mark.parametrize("kind", kinds(), ids=name_of)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_was_sent_arrives(kind, data):
    record = data.draw(WHOLE[kind])
    (message,) = FrameReader().feed(encode(record.to_message()))
    assert kind.from_message(message) == record


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=name_of)
def test_a_key_that_is_missing_is_named_unless_it_has_a_default(kind, field):
    message = one_of(kind)
    del message[field.name]
    if field.default is not dataclasses.MISSING:
        assert getattr(kind.from_message(message), field.name) == field.default
    else:
        with pytest.raises(MessageError, match=rf"^{kind.__name__} has no {field.name}$"):
            kind.from_message(message)


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=name_of)
def test_a_value_of_another_type_is_refused_by_name_and_not_quoted(kind, field):
    # No field holds a list of lists of nothing.
    with pytest.raises(MessageError) as refusal:
        kind.from_message({**one_of(kind), field.name: [[]]})
    hint = typing.get_type_hints(kind)[field.name]
    within = [
        name_of(one) for one in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(one)
    ]
    assert str(refusal.value).startswith(
        (
            f"{kind.__name__}.{field.name} is ",
            f"{kind.__name__}.{field.name} has ",
            *(f"{name} is " for name in within),
        )
    )
    assert "[[" not in str(refusal.value)


@pytest.mark.parametrize("kind", kinds(), ids=name_of)
def test_a_key_that_is_not_known_is_named(kind):
    with pytest.raises(MessageError, match=f"^{kind.__name__} has the unknown key 'no such key'$"):
        kind.from_message({**one_of(kind), "no such key": 1})


@pytest.mark.parametrize("content", [None, [], "x", 1, 1.0, True, [{}]])
def test_what_is_no_object_is_refused(content):
    with pytest.raises(MessageError, match=r"^LeaseResult is a \w+, and no object$"):
        LeaseResult.from_message(content)


@pytest.mark.parametrize("number", [True, "1", float("nan"), float("inf"), None, [1]])
def test_a_number_is_one_and_finite(number):
    with pytest.raises(MessageError, match=r"^KillReport\.seconds is "):
        kill_report.KillReport.from_message(make_report(seconds=number))


@pytest.mark.parametrize("root", [[], [1], [1, 2, 3], [1, "2"], "12", 12])
def test_a_pair_is_two(root):
    with pytest.raises(MessageError, match=r"^KillReport\.root "):
        kill_report.KillReport.from_message(make_report(root=root))


def test_each_process_of_a_report_is_checked():
    with pytest.raises(MessageError, match=r"^ReportedProcess\.pid is a str, and no int$"):
        LeaseResult.from_message(
            {
                "outcome": "confirmed",
                "reason": "",
                "report": make_report(gone=[make_process(2), {**make_process(3), "pid": "3"}]),
            }
        )


def test_an_outcome_is_one_of_those_that_there_are():
    with pytest.raises(
        MessageError, match=r"^LeaseResult\.outcome is none of 'confirmed', 'unreachable', "
    ):
        LeaseResult.from_message({"outcome": "whatever"})
    assert LeaseResult.from_message({"outcome": "left"}) == LeaseResult(Outcome.LEFT)


# Frames.


def has_ids(request: messages.Request) -> bool:
    """Whether the ids of a request for a lease have no half characters."""
    return (
        not isinstance(request, messages.LeaseRequest)
        or "\udcff" not in request.lease + request.terms.run
    )


REQUESTS = st.one_of(
    *(WHOLE[kind] for kind in kinds() if issubclass(kind, messages.Request))
).filter(has_ids)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS, st.none() | st.integers(0))
def test_a_request_arrives_with_its_number(request, number):
    (frame,) = FrameReader().feed(encode(messages.request_frame(request, number)))
    assert messages.read_request(frame) == (request, number)


def test_each_request_has_an_op_of_its_own():
    found = [kind for kind in kinds() if issubclass(kind, messages.Request)]
    assert len({kind.op for kind in found}) == len(found) == 11


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"op": None},
        {"op": []},
        {"op": "no such"},
        {"op": "leave", "number": "1"},
        {"op": "leave", "number": True},
    ],
)
def test_what_is_no_request_is_refused(frame):
    with pytest.raises(MessageError, match="^a request has "):
        messages.read_request(frame)


@pytest.mark.parametrize("name", ["lease", "run"])
def test_an_id_that_no_cookie_can_hold_is_refused(name):
    """JSON can hold it. It raised where the guardian looked for clients, and ended the guardian."""
    request = smallest_of(messages.LeaseRequest)
    half = (
        {"lease": "\ud800"}
        if name == "lease"
        else {"terms": dataclasses.replace(request.terms, run="\ud800")}
    )
    with pytest.raises(MessageError, match="^LeaseRequest.* is no id$"):
        messages.read_request(messages.request_frame(dataclasses.replace(request, **half), 1))


def test_an_answer_has_the_number_of_its_request_and_no_other_key():
    frame = messages.answer_frame(messages.UnguardedAnswer(True), 7)
    assert frame == {"first": True, "number": 7}
    assert messages.read_answer(messages.UnguardedAnswer, frame) == messages.UnguardedAnswer(True)
    with pytest.raises(MessageError, match="^LeaseBrokenReceipt has the unknown key 'first'$"):
        messages.read_answer(messages.LeaseBrokenReceipt, frame)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(WHOLE[run_report.RunReport] | WHOLE[run_report.KillProgress])
def test_the_report_can_be_told_from_the_progress(answer):
    (frame,) = FrameReader().feed(encode(messages.report_frame(answer)))
    assert messages.read_report(frame) == answer


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(WHOLE[writer_orders.ReportOrder] | WHOLE[writer_orders.SyncOrder])
def test_an_order_to_the_writer_arrives(made):
    (frame,) = FrameReader().feed(encode(writer_orders.order_frame(made)))
    assert writer_orders.read_order(frame) == made


@pytest.mark.parametrize(
    "made",
    [
        writer_orders.LineOrder(OpenedRecord("1", "web1")),
        writer_orders.LineOrder(OpenedRecord("1", "web1", "10.0.0.1:2222")),
        writer_orders.EndOrder(ClosedRecord("1", Outcome.LEFT, 0, 0, "")),
        writer_orders.RemindedOrder(("0123456789abcdef",), "now"),
    ],
)
def test_a_line_for_the_writer_arrives(made):
    assert writer_orders.read_order(writer_orders.order_frame(made)) == made


@pytest.mark.parametrize(
    "frame", [{}, {"add": {}}, {"add": []}, {"end": {"later": 1}}, {"no": "such"}]
)
def test_what_is_no_order_to_the_writer_is_refused(frame):
    with pytest.raises(MessageError, match="^an order to the writer is of no known kind"):
        writer_orders.read_order(frame)


@pytest.mark.parametrize(
    "answer",
    [
        writer_orders.SyncAnswer(3),
        writer_orders.WriteFailure("journal", "No space left on device"),
        writer_orders.DueNotice(("0123456789abcdef",), "a sweep is due"),
    ],
)
def test_the_answer_of_the_writer_arrives(answer):
    assert writer_orders.read_writer_answer(answer.to_message()) == answer


# The order of a kill, which is text within a request.


def test_an_order_that_lacks_its_options_is_refused_by_the_name_of_the_option():
    content = one_of(messages.KillOrderTerms)
    del content["options"]["timeout"]
    with pytest.raises(MessageError, match="^KillOptions has no timeout$"):
        messages.KillOrderTerms.from_message(content)
