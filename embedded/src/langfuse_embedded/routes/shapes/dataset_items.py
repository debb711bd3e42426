"""Items of datasets as clients see them."""

from __future__ import annotations

import sqlite3
from typing import Any

from langfuse_embedded.clock import iso
from langfuse_embedded.routes.call import Call
from langfuse_embedded.routes.media import shown_references
from langfuse_embedded.store.dataset_items import DatasetItem
from langfuse_embedded.store.media import media_of_items


def shown_items(
    call: Call, items: list[DatasetItem], db: sqlite3.Connection | None = None
) -> list[dict[str, Any]]:
    """Return items as answers show them; a thread brings its connection."""
    versions = [(item.id, item.valid_from) for item in items]
    references = media_of_items(db or call.engine.state.db, call.project_id, versions)
    return [
        {
            "id": item.id,
            "datasetId": item.dataset_id,
            "datasetName": item.dataset_name,
            "status": item.status,
            "input": item.input,
            "expectedOutput": item.expected_output,
            "metadata": item.metadata,
            "sourceTraceId": item.source_trace_id,
            "sourceObservationId": item.source_observation_id,
            "createdAt": iso(item.created_at),
            "updatedAt": iso(item.updated_at),
            "mediaReferences": shown_references(call, references[item.id, item.valid_from]),
        }
        for item in items
    ]
