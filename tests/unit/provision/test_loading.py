"""Loading: every kind of object in every kind of file, with the place of each."""

from __future__ import annotations

from pathlib import Path

from scripts.provision.items import item_id
from scripts.provision.loading import load

EXAMPLE = Path(__file__).parent / "example"


def test_the_example_of_everything_loads() -> None:
    loaded = load(EXAMPLE / "stack.yaml", "config/stack.yaml")
    kosmos, zeus = loaded.stack.projects
    assert [config.name for config in kosmos.score_configs][:2] == [
        "attribution_confidence",
        "confidence_tier",
    ]
    assert [model.name for model in kosmos.models] == ["acme-7b", "acme-voice"]
    assert sorted(prompt.name for prompt in kosmos.prompts) == [
        "athena/answer",
        "athena/rules",
        "customer-service",
        "zeus-routing",
    ]
    assert [(one.name, len(one.items)) for one in kosmos.datasets] == [
        ("golden/routing", 2),
        ("golden/rag", 2),
        ("golden/small", 2),
    ]
    assert [queue.name for queue in kosmos.annotation_queues] == ["review"]
    assert [len(dashboard.widgets) for dashboard in kosmos.dashboards] == [3]
    assert [key.name for key in kosmos.all_keys] == ["app", "ci"]
    assert zeus.all_keys[0].public == "pk-lf-test-zeus"
    assert loaded.stack.members[0].role == "MEMBER"


def test_each_object_knows_its_file_and_line() -> None:
    loaded = load(EXAMPLE / "stack.yaml", "config/stack.yaml")
    kosmos, zeus = loaded.stack.projects
    assert loaded.places.of(kosmos.score_configs[1], "name") == "config/scores.yaml:7:11"
    assert loaded.places.of(kosmos.datasets[0].items[1]) == "config/datasets/routing.jsonl:2:1"
    assert loaded.places.of(kosmos.datasets[1].items[1]) == "config/datasets/rag.csv:3:1"
    answer = next(prompt for prompt in kosmos.prompts if prompt.name == "athena/answer")
    assert loaded.places.of(answer, "tags") == "config/prompts/athena/answer.md:3:7"
    assert loaded.places.of(zeus) == "config/zeus.yaml:2:5"


def test_front_matter_and_text_make_a_prompt_named_after_its_file() -> None:
    prompts = {one.name: one for one in load(EXAMPLE / "stack.yaml", "s.yaml").stack.projects[0].prompts}
    answer = prompts["athena/answer"]
    assert answer.labels == ["production", "staging"]
    assert answer.config == {"model": "acme-7b", "temperature": 0.2}
    assert (answer.prompt or "").startswith("Answer {{question}}.\n\n@@@")
    assert prompts["athena/rules"].prompt == "Name your sources."
    assert prompts["athena/rules"].labels == ["production"]


def test_a_csv_file_makes_objects_of_dotted_columns_and_reads_json_cells() -> None:
    rag = load(EXAMPLE / "stack.yaml", "s.yaml").stack.projects[0].datasets[1]
    assert rag.items[0].input == {"question": "Who wrote the Iliad?"}
    assert rag.items[0].metadata == {"source": {"page": 1}}
    assert rag.items[1].metadata is None
    assert rag.items[1].expected_output == "Greece"


def test_an_item_without_an_id_gets_one_that_depends_on_its_dataset_and_input_only() -> None:
    small = load(EXAMPLE / "stack.yaml", "s.yaml").stack.projects[0].datasets[2].items[0]
    nameless = small.model_copy(update={"id": None})
    other = nameless.model_copy(update={"expected_output": 7})
    assert item_id("golden/small", small) == "small-1"
    assert item_id("golden/small", nameless) == item_id("golden/small", other)
    assert item_id("golden/small", nameless) != item_id("golden/large", nameless)
