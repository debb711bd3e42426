"""The price list reaches `state.db` once, and again when it or the day has changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from langfuse_embedded.pricing.model import Model, Tier
from langfuse_embedded.store import price_list
from langfuse_embedded.store.models import Models
from langfuse_embedded.store.state import StateStore

TODAY = date(2026, 6, 1)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = StateStore(tmp_path, "salt")
    store.db.execute("insert into organizations values ('acme', 'Acme', 1)")
    store.db.execute(
        "insert into projects (id, organization_id, name, created_at) values ('kosmos', 'acme', 'k', 1)"
    )
    yield store
    store.close()


@pytest.fixture
def models(state: StateStore) -> Models:
    return Models(state.db)


def _model(model_id: str, project_id: str | None, start_date: int | None = None) -> Model:
    tier = Tier(id="t", name="Standard", isDefault=True, priority=0, conditions=[], prices={"input": 1})
    return Model(model_id, project_id, model_id, model_id, [tier], start_date=start_date)


def test_the_list_is_written_once_for_its_version_and_day(state: StateStore, models: Models) -> None:
    assert price_list.update(state.path, TODAY) is True
    assert len(models.builtin_models()) > 100
    generation = models.generation()
    assert price_list.update(state.path, TODAY) is False
    assert models.generation() == generation


def test_the_list_is_written_again_when_a_known_change_of_a_price_takes_effect(
    state: StateStore, models: Models
) -> None:
    price_list.update(state.path, date(2025, 6, 9))
    assert models.price_list()[1] == "2025-06-10"
    assert price_list.update(state.path, date(2025, 6, 10)) is True


def test_a_new_list_replaces_the_old_one_and_leaves_models_of_projects_alone(models: Models) -> None:
    models.save(_model("own", "kosmos"))
    models.replace_builtin([_model("a", None), _model("b", None)], "1", None)
    models.replace_builtin([_model("c", None), _model("b", None)], "2", None)
    assert [model.id for model in models.builtin_models()] == ["c", "b"]
    assert [model.id for model in models.project_models("kosmos")] == ["own"]
    assert models.price_list() == ("2", "")


def test_a_list_that_cannot_be_written_leaves_the_old_one(models: Models) -> None:
    models.replace_builtin([_model("a", None)], "1", None)
    broken = Model("b", None, "b", "b", [{"prices": {1, 2}}])  # type: ignore[typeddict-item]
    with pytest.raises(TypeError):
        models.replace_builtin([_model("c", None), broken], "2", None)
    assert [model.id for model in models.builtin_models()] == ["a"]


def test_models_of_a_project_are_tried_from_the_newest_start_date_on(models: Models) -> None:
    for model_id, start in (("undated", None), ("old", 1), ("new", 2)):
        models.save(_model(model_id, "kosmos", start))
    assert [model.id for model in models.project_models("kosmos")] == ["new", "old", "undated"]


def test_every_change_of_a_model_is_a_new_generation_and_is_remembered_anew(models: Models) -> None:
    seen = [models.generation()]
    models.save(_model("own", "kosmos"))
    seen.append(models.generation())
    assert set(models.remembered) == {"own"}
    models.delete("kosmos", "own")
    seen.append(models.generation())
    assert len(set(seen)) == 3
    assert models.remembered == {}


def test_an_id_of_another_project_is_not_taken_over(models: Models) -> None:
    assert models.save(_model("own", "kosmos"))
    assert not models.save(_model("own", None))
    assert models.get("kosmos", "own") is not None
    assert models.get("other", "own") is None


def test_the_process_says_why_it_could_not_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "state.db"
    broken.write_bytes(b"this is not a database" * 100)
    monkeypatch.setattr("sys.argv", ["price_list", str(broken)])
    assert price_list.main() == 1
    assert "the price list was not updated" in capsys.readouterr().err
