"""The engine answers requests that are easily answered wrongly as a recorded server did, in both modes."""

from __future__ import annotations

from pathlib import Path

import httpx

from .harness import Keys
from .replay import Replay, Report, read_edges, recorded_engine
from .test_reference_recordings import require_explained

_KEYS = Keys("zeus", "pk-lf-reference", "sk-lf-reference")
_ENVIRONMENT = {
    "EMBEDDED_COMPAT": "4.16.0",
    "LANGFUSE_INIT_ORG_ID": "acme",
    "LANGFUSE_INIT_ORG_NAME": "Acme",
    "LANGFUSE_INIT_PROJECT_NAME": "zeus",
    "ADMIN_API_KEY": "admin-key-of-another-server",
}
_DUAL = {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}


# What the recorded project held before, as far as the recorded requests refer to it.
_TRACE, _ROOT = "a" * 31 + "1", "b" * 15 + "1"
_BEFORE = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "scope": {"name": "langfuse-sdk", "version": "4.0.0"},
                    "spans": [
                        {
                            "traceId": _TRACE,
                            "spanId": _ROOT,
                            "name": "root",
                            "startTimeUnixNano": "1768471200123000000",
                            "endTimeUnixNano": "1768471202123000000",
                            "attributes": [
                                {"key": key, "value": {"stringValue": value}}
                                for key, value in {
                                    "langfuse.observation.type": "generation",
                                    "langfuse.observation.metadata.k": "v",
                                    "langfuse.user.id": "u1",
                                    "langfuse.session.id": "s1",
                                    "langfuse.trace.tags": '["x"]',
                                }.items()
                            ],
                        }
                    ],
                }
            ]
        }
    ]
}
# The id of a score config that it had.
_CONFIG_ID = "ef9907fa-7274-474a-8314-de794cdd6c1e"
_CONFIG = {"name": "attribution_confidence", "dataType": "NUMERIC", "minValue": 0, "maxValue": 1}

_BY_ID = "Comments come in the order of their ids, which are made up"
_TIME = "It asks for a time of the recording that no answer names"
_NO_HEADER = "The recording left out the header with the admin's key"
_TWICE = "Rows that the server had not merged yet are twice in its answer"
_TIES = "Of observations of one moment the server's order is by a hash of their trace"
_OTHERS = "The project held rows that no recorded request wrote, and counts them"
_ANY = "The spans of the experiment contradict each other, and the server shows `any` of them"
UNSETTLED = {
    "events_only": {
        123: _TIME,
        **dict.fromkeys((315, 317, 318), _BY_ID),
        **dict.fromkeys((505, 506), _NO_HEADER),
        **dict.fromkeys((599, 609), _TIME),
    },
    "dual": {
        66: _TIES,
        **dict.fromkeys((74, 100, 109, 112, 502), _TWICE),
        108: _TIES,
        **dict.fromkeys((169, 208, 390), _OTHERS),
        **dict.fromkeys((324, 326, 327), _BY_ID),
        **dict.fromkeys((504, 510, 512, 514), _ANY),
        **dict.fromkeys((521, 522), _NO_HEADER),
        **dict.fromkeys((564, 574), _TIME),
    },
}
"""What no replay can be compared with, by the place in the recording."""


def prepared(client: httpx.Client) -> Replay:
    """Write what the recorded requests refer to and none of them wrote; return a replay that knows it."""
    keys = (_KEYS.public_key, _KEYS.secret_key)
    client.post("/api/public/otel/v1/traces", json=_BEFORE, auth=keys).raise_for_status()
    config = client.post("/api/public/score-configs", json=_CONFIG, auth=keys).raise_for_status().json()
    replay = Replay(client)
    replay.knows(_CONFIG_ID, config["id"])
    return replay


def _edges(reference_dir: Path, mode: str, replay: Replay) -> Report:
    recording = reference_dir / "recordings" / f"edges_{mode}.jsonl"
    return replay.run(read_edges(recording, (_KEYS.public_key, _KEYS.secret_key)), UNSETTLED[mode])


def test_edges_are_answered_as_recorded_in_both_modes(tmp_path: Path, reference_dir: Path) -> None:
    # The server was switched to `dual` with its data: what the first recording wrote is there in the second.
    with recorded_engine(tmp_path, _KEYS, _ENVIRONMENT) as client:
        replay = prepared(client)
        events_only = _edges(reference_dir, "events_only", replay)
    with recorded_engine(tmp_path, _KEYS, _ENVIRONMENT | _DUAL) as client:
        dual = _edges(reference_dir, "dual", replay.continued(client))
    for mode, report in (("events_only", events_only), ("dual", dual)):
        require_explained(f"edges_{mode}", report)
        assert report.share >= 0.98, mode
