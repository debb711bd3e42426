"""Lists of faults: how they are read, and which requests they hit."""

from __future__ import annotations

import pytest

from langfuse_embedded.faults import Fault, FaultPlan, FaultsUnreadable, parse_faults

TRACES = "/api/public/otel/v1/traces"


def test_a_list_names_kind_share_amount_and_path() -> None:
    assert parse_faults("503:0.1, slow:0.05:250ms,429:x3:2s@/api/public/otel,drop:1") == (
        Fault("503", 0.1, None, 1000, ""),
        Fault("slow", 0.05, None, 250, ""),
        Fault("429", 1.0, 3, 2000, "/api/public/otel"),
        Fault("drop", 1.0, None, 1000, ""),
    )


@pytest.mark.parametrize("text", ["", " ", "none"])
def test_a_list_may_be_empty(text: str) -> None:
    assert parse_faults(text) == ()


@pytest.mark.parametrize(
    "entry", ["500:0.1", "503", "503:2", "503:-1", "503:0.1:fast", "slow:1:1h", "drop:1@api", "503:x"]
)
def test_an_entry_that_means_nothing_is_named(entry: str) -> None:
    with pytest.raises(FaultsUnreadable) as raised:
        parse_faults(f"503:0.1,{entry}")
    assert repr(entry) in str(raised.value)


def test_a_retry_after_is_rounded_up_to_seconds() -> None:
    assert [parse_faults(text)[0].retry_after for text in ("429:1", "429:1:1500ms", "429:1:3s")] == [1, 2, 3]


def test_a_counted_fault_hits_so_many_requests_and_no_more() -> None:
    plan = FaultPlan(parse_faults("503:x2,429:x1"))
    drawn = [plan.draw(TRACES) for _ in range(4)]
    assert [fault and fault.kind for fault in drawn] == ["503", "503", "429", None]
    assert plan.injected == {"503": 2, "429": 1}


def test_a_share_hits_about_that_many_requests_and_the_same_in_every_run() -> None:
    runs = []
    for _ in range(2):
        plan = FaultPlan(parse_faults("503:0.25"))
        runs.append([plan.draw(TRACES) is not None for _ in range(2000)])
    assert runs[0] == runs[1]
    assert 400 < sum(runs[0]) < 600


def test_a_path_limits_a_fault_to_what_begins_with_it() -> None:
    plan = FaultPlan(parse_faults("503:1@/api/public/scores"))
    assert plan.draw(TRACES) is None
    assert plan.draw("/api/public/scores/1") is not None


@pytest.mark.parametrize(
    "path", ["/api/public/health", "/api/public/ready", "/api/embedded/faults", "/project/p/traces"]
)
def test_health_pages_and_the_switch_itself_are_spared(path: str) -> None:
    assert FaultPlan(parse_faults("drop:1")).draw(path) is None


def test_a_new_list_counts_from_the_beginning() -> None:
    plan = FaultPlan(parse_faults("503:x1"))
    plan.draw(TRACES)
    plan.replace(parse_faults("429:x1"))
    assert plan.injected == {}
    fault = plan.draw(TRACES)
    assert fault is not None
    assert fault.kind == "429"
