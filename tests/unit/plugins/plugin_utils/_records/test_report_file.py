# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of an interrupted run follows its published schema, whatever hosts report."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._records import report_file
from ansible_collections.treekill.remote.plugins.plugin_utils._records.atomic_file import replace
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_orders import (
    ReportOrder,
)
from hypothesis import given
from hypothesis import strategies as st

from ..report_factories import RESULTS, make_process, make_report, make_result, make_run_report
from .test_journal import HEAD

SCHEMA = json.loads((Path(__file__).parents[5] / "docs/report.schema.json").read_text())

VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def written(
    results, cause="SIGINT", complete=True, interrupted="2026-01-01T00:00:01Z", unguarded=()
) -> dict:
    return json.loads(
        report_file.content(
            HEAD,
            ReportOrder(
                make_run_report(results, cause, unguarded),
                complete,
                interrupted,
                "2026-01-01T00:00:02Z",
            ),
        )
    )


def test_the_schema_is_one_and_says_where_it_is_published():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == report_file.SCHEMA


@given(
    RESULTS,
    st.sampled_from(["SIGINT", ""]),
    st.booleans(),
    st.none() | st.just("2026-01-01T00:00:01Z"),
)
def test_every_report_is_valid(results, cause, complete, interrupted):
    VALIDATOR.validate(written(results, cause, complete, interrupted))


def test_a_report_has_the_number_of_its_additions():
    """1.0.0 had none of `always` and `elsewhere`."""
    now = written([make_result()])
    assert (now["version"], now["minor"]) == (1, 1)
    del now["minor"]
    VALIDATOR.validate(now)


def test_a_host_that_is_not_protected_is_told():
    entry = {"host": "switch", "connection": "network_cli", "reason": "no shell"}
    told = written([], unguarded=[entry])
    VALIDATOR.validate(told)
    assert told["unprotected"] == [entry]


@pytest.mark.parametrize(
    "wrong",
    [{"run": "no id"}, {"version": 2}, {"trees": [{}]}, {"unknown": 1}, {"complete": "yes"}],
)
def test_what_is_no_report_is_not_valid(wrong):
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**written([make_result()]), **wrong})


def test_each_process_is_told_with_how_it_ended():
    told = written(
        [
            make_result(
                report=make_report(
                    gone=[make_process(2, ended="KILL", seconds=10.0)],
                    survivors=[make_process(3, ended=None, seconds=None, reason="why")],
                )
            )
        ]
    )
    rows = told["trees"][0]["report"]["processes"]
    assert [
        (row["pid"], row["state"], row["ended"], row["seconds"], row["reason"]) for row in rows
    ] == [
        (2, "gone", "KILL", 10.0, ""),
        (3, "survived", None, None, "why"),
    ]


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{run}.json", "aa.json"),
        ("reports/", "reports/treekill-aa.json"),
        ("a/b/c.json", "a/b/c.json"),
    ],
)
def test_a_directory_gets_a_file_of_its_own_for_each_run(tmp_path, template, path):
    assert report_file.path_for(f"{tmp_path}/{template}", "aa") == f"{tmp_path}/{path}"


def test_a_file_is_replaced_whole_or_not_at_all_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o644)
    replace(str(path), b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace(str(tmp_path / "directory"), b"new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["directory", "report.json"]
