"""What an update may change, by the rules of the server."""

from __future__ import annotations

from typing import Any

import pytest

from langfuse_embedded.store.writer.legacy_events import OBSERVATION, TRACE, merged
from langfuse_embedded.updates import OBSERVATION as OBSERVATION_RULES
from langfuse_embedded.updates import TRACE as TRACE_RULES
from langfuse_embedded.updates import merged_deeply, overlaid, said


@pytest.mark.parametrize(
    ("earlier", "later", "together"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"l": [1, 2, 3]}, {"l": [9]}, {"l": [9, 2, 3]}),
        ({"l": [1]}, {"l": [{"a": 1}, 2]}, {"l": [{"a": 1}, 2]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (None, {"a": 1}, {"a": 1}),
    ],
)
def test_metadata_is_merged_by_name_and_by_place(earlier: Any, later: Any, together: Any) -> None:
    assert merged_deeply(earlier, later) == together


def test_some_fields_stay_as_they_were_first_said() -> None:
    first = {"id": "t", "timestamp": 1, "environment": "a", "name": "one"}
    later = {"id": "t", "timestamp": 2, "environment": "b", "name": "two"}
    assert overlaid(first, later, TRACE_RULES) == {**first, "name": "two"}


def test_null_erases_some_fields_and_says_nothing_of_others() -> None:
    body = {"name": None, "version": None, "statusMessage": None, "level": None}
    assert said(body, OBSERVATION_RULES) == {"name": None, "level": None}
    assert said(body, TRACE_RULES) == {"name": None, "version": None}


def test_an_empty_input_does_not_take_the_place_of_another() -> None:
    assert said({"input": "", "output": 0}, TRACE_RULES) == {}
    assert said({"input": [], "output": {}}, TRACE_RULES) == {"input": [], "output": {}}


def test_an_older_event_only_adds() -> None:
    known = {"id": "t", "name": "newer", "eventTime": 10}
    event = {"id": "t", "name": "older", "userId": "u", "eventTime": 5}
    result = merged(TRACE, known, event)
    assert (result["name"], result["userId"], result["latest"]) == ("newer", "u", 10)
    again = merged(TRACE, result, {"id": "t", "name": "newest", "eventTime": 11})
    assert (again["name"], again["latest"]) == ("newest", 11)


def test_usage_of_a_later_event_replaces_and_nothing_keeps() -> None:
    known = {"id": "o", "usageDetails": {"input": 3}, "eventTime": 1}
    assert merged(OBSERVATION, known, {"id": "o", "usageDetails": {}, "eventTime": 2})["usageDetails"] == {
        "input": 3
    }
    later = {"id": "o", "usageDetails": {"output": 4}, "eventTime": 2}
    assert merged(OBSERVATION, known, later)["usageDetails"] == {"output": 4}
