"""The page of operations says what the routing table says, and every implemented operation is tested."""

from __future__ import annotations

from langfuse_embedded.routes import all_operations
from tests.api_reference import PAGE, ROOT, key_of, page, read_touched, state_of


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(all_operations(), read_touched()), "run make api-reference"


def test_every_implemented_operation_is_touched_by_a_test() -> None:
    touched = read_touched()
    implemented = [one for one in all_operations() if state_of(one) == "implemented" and one.operation_id]
    assert len(implemented) > 70
    assert [key_of(one) for one in implemented if not touched.get(key_of(one))] == []


def test_the_tests_and_operations_that_are_named_exist() -> None:
    touched = read_touched()
    assert touched.keys() <= {key_of(one) for one in all_operations()}
    modules = {module for named in touched.values() for module in named}
    assert [module for module in modules if not (ROOT / module).is_file()] == []
