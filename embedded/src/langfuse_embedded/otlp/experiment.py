"""The experiment run that an observation belongs to: `langfuse.experiment.*` attributes."""

from __future__ import annotations

from langfuse_embedded.javascript import dates
from langfuse_embedded.javascript.values import string, truthy

from .batch import Attributes
from .event import Experiment
from .metadata import flatten, from_prefix

_PREFIX = "langfuse.experiment."


def experiment(attributes: Attributes) -> Experiment:
    """Return the experiment that a span with such attributes tells of."""

    def field(name: str) -> str | None:
        value = attributes.get(_PREFIX + name)
        return string(value) if truthy(value) else None

    version = attributes.get("langfuse.experiment.item.version")
    return Experiment(
        id=field("id") or "",
        name=field("name"),
        description=field("description"),
        dataset_id=field("dataset.id"),
        metadata=flatten(from_prefix(attributes, "langfuse.experiment.metadata")),
        item_id=field("item.id"),
        # It points to a version of a dataset item, which is a time: "v1" can name none.
        item_version=dates.milliseconds(string(version)) if truthy(version) else None,
        item_root_span_id=field("item.root_observation_id"),
        item_expected_output=field("item.expected_output"),
        item_metadata=flatten(from_prefix(attributes, "langfuse.experiment.item.metadata")),
    )
