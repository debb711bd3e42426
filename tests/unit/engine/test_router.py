"""Paths find their operation; encoded slashes stay inside a parameter."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from langfuse_embedded.http.router import Router
from langfuse_embedded.routes.call import Call
from langfuse_embedded.routes.operations import Operation


async def _answer(call: Call) -> Response:
    return Response()


def router(*paths: str) -> Router:
    return Router([Operation("GET", path, _answer) for path in paths])


def test_an_encoded_slash_stays_inside_the_parameter() -> None:
    match = router("/p/{name}", "/p/{name}/versions/{version}").match("/p/folder%2Fa%20b/versions/2")
    assert match is not None
    assert match.params == {"name": "folder/a b", "version": "2"}


def test_a_literal_segment_wins_over_a_parameter() -> None:
    found = router("/p/{name}", "/p/daily").match("/p/daily")
    assert found is not None
    assert found.operations["GET"].path == "/p/daily"


def test_a_parameter_is_tried_where_the_literal_leads_nowhere() -> None:
    match = router("/p/daily/x", "/p/{name}/y").match("/p/daily/y")
    assert match is not None
    assert match.params == {"name": "daily"}


@pytest.mark.parametrize("path", ["/", "/p", "/p/a/b", "/p//versions/1", "/q/a"])
def test_a_path_that_is_not_in_the_table_is_not_found(path: str) -> None:
    assert router("/p/{name}", "/p/{name}/versions/{version}").match(path) is None


def test_two_operations_for_one_method_and_path_are_refused() -> None:
    with pytest.raises(ValueError, match="two operations for GET /p"):
        router("/p", "/p")
