"""Prompts: versions, labels, folders, text and chat, composition, deletion rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from langfuse_embedded.clock import iso, now_ms
from langfuse_embedded.http.access import ErrorStyle
from langfuse_embedded.http.errors import Conflict, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.names import folder_name
from langfuse_embedded.http.schema import (
    Anything,
    Array,
    Boolean,
    Datetime,
    Enum,
    Literal,
    Number,
    Object,
    String,
    Union,
    to_number,
)
from langfuse_embedded.javascript.values import number_text
from langfuse_embedded.store.prompt_graph import (
    Dependency,
    PromptGraph,
    PromptGraphError,
    parse_tags,
    resolve,
)
from langfuse_embedded.store.prompts import (
    LATEST,
    PRODUCTION,
    PromptFilter,
    PromptStore,
    PromptSummary,
    PromptVersion,
    new_prompt_id,
)

from .call import Call
from .operations import Operation

_VARIABLE = re.compile(r"{{([^\W\d_]\w*)}}")
_RESERVED_NAMES = ("new", "metrics", "prompt-detail")
_OTHER_TYPE = "Previous versions have different prompt type. Create a new prompt with a different name."
_BAD_PLACEHOLDER = (
    "Placeholder name must start with a letter and contain only alphanumeric characters and underscores"
)
_BOTH = "Cannot specify both version and label"

_NAME = folder_name(((r"^[^|]*$", "Prompt name cannot contain '|' character"),)).refine(
    lambda name: name not in _RESERVED_NAMES, lambda name: f"Prompt name cannot be '{name}'"
)
_LABEL = String(
    min=1,
    max=36,
    patterns=(
        (
            r"^[a-z0-9_\-.]+$",
            "Label must be lowercase alphanumeric with optional underscores, hyphens, or periods",
        ),
    ),
)
_MESSAGE = Union(
    Object({"role": String(), "content": String()}),
    Object(
        {
            "type": Literal("placeholder"),
            "name": String(patterns=((r"^[a-zA-Z][a-zA-Z0-9_]*$", _BAD_PLACEHOLDER),)),
        }
    ),
)
_COMMON = {"name": _NAME, "labels": Array(_LABEL).default(list)}
_REST = {
    "config": Anything().default(dict),
    "tags": Array(String()).nullish(),
    "commitMessage": String(max=500).nullish(),
}
_TEXT = Object({**_COMMON, "type": Literal("text").optional(), "prompt": String(), **_REST})
_CHAT = Object({**_COMMON, "type": Literal("chat"), "prompt": Array(_MESSAGE), **_REST})
_CREATE = Union(_TEXT, _CHAT)
_FIRST_CREATE = Union(*(shape.extend({"isActive": Boolean()}) for shape in (_TEXT, _CHAT)))
_FIRST_GET = Object(
    {"name": String().transform(unquote), "version": Number(integer=True, coerce=True).nullish()}
)
_LIST = Object(
    {
        "name": String().optional(),
        "version": Number(integer=True, coerce=True).nullish(),
        "label": String().optional(),
        "tag": String().optional(),
        "page": Number(integer=True, ge=1, coerce=True).default(1),
        "limit": Number(integer=True, ge=1, le=100, coerce=True).default(10),
        "fromUpdatedAt": Datetime().nullish(),
        "toUpdatedAt": Datetime().nullish(),
    }
)
_GET = Object(
    {
        "version": Number(integer=True, coerce=True).nullish(),
        "label": String().optional(),
        "resolve": Enum("true", "false").default("true"),
    }
)
_NEW_LABELS = Object(
    {
        "newLabels": Array(String()).refine(
            lambda labels: LATEST not in labels,
            "Label 'latest' is always assigned to the latest prompt version",
        )
    }
)


async def create_prompt(call: Call) -> Response:
    """Store a new version of a prompt, which becomes the latest."""
    return json_response(_shown(_stored(call, await call.json(_CREATE))), 201)


async def create_first_prompt(call: Call) -> Response:
    """Store a new version for clients of version 1, which call the label `production` active."""
    body = await call.json(_FIRST_CREATE)
    if body["isActive"]:
        body["labels"] = [*body["labels"], PRODUCTION]
    version = _stored(call, body)
    return json_response({**_shown(version), "isActive": PRODUCTION in version.labels}, 201)


async def get_first_prompt(call: Call) -> Response:
    """Return a version by number, else the one in production, for clients of version 1."""
    query = call.query(_FIRST_GET)
    name, version, prompts = query["name"], query.get("version"), call.engine.prompts
    if version is None:
        found = prompts.by_label(call.project_id, name, PRODUCTION)
    else:
        found = prompts.by_version(call.project_id, name, version)
    if found is None:
        raise NotFound("Prompt not found")
    return json_response({**_shown(found), "isActive": PRODUCTION in found.labels})


def _stored(call: Call, body: dict[str, Any]) -> PromptVersion:
    state, prompts = call.engine.state, call.engine.prompts
    with state.transaction():
        newest = prompts.newest(call.project_id, body["name"])
        version = _new_version(call.project_id, body, newest)
        dependencies = parse_tags(version.prompt)
        try:
            _resolve(prompts, version, dependencies)
        except PromptGraphError as error:
            raise InvalidRequest(str(error)) from None
        prompts.create(version, dependencies)
    return version


def _new_version(project_id: str, body: dict[str, Any], newest: PromptVersion | None) -> PromptVersion:
    kind = body.get("type", "text")
    if newest and newest.type != kind:
        raise InvalidRequest(_OTHER_TYPE)
    if kind == "chat":
        _refuse_name_clashes(body["prompt"])
    tags = body.get("tags")
    if tags is None:
        tags = newest.tags if newest else []
    now = now_ms()
    return PromptVersion(
        id=new_prompt_id(),
        project_id=project_id,
        name=body["name"],
        version=newest.version + 1 if newest else 1,
        type=kind,
        prompt=body["prompt"],
        config={} if body["config"] is None else body["config"],
        labels=list(dict.fromkeys([*body["labels"], LATEST])),
        tags=list(dict.fromkeys(tags)),
        commit_message=body.get("commitMessage"),
        created_by="API",
        created_at=now,
        updated_at=now,
    )


def _refuse_name_clashes(messages: Sequence[dict[str, Any]]) -> None:
    placeholders = {message["name"] for message in messages if message.get("type") == "placeholder"}
    variables = dict.fromkeys(
        name for message in messages for name in _VARIABLE.findall(message.get("content", ""))
    )
    clashes = [name for name in variables if name in placeholders]
    if clashes:
        raise InvalidRequest(
            "Cannot create prompt, variables and placeholders must be unique, the following are not: "
            + ", ".join(clashes)
        )


async def list_prompts(call: Call) -> Response:
    """List prompts by name, each with its versions, labels and tags."""
    query = call.query(_LIST)
    page, limit = query["page"], query["limit"]
    wanted = PromptFilter(
        name=query.get("name"),
        version=query.get("version"),
        label=query.get("label"),
        tag=query.get("tag"),
        updated_from=query.get("fromUpdatedAt"),
        updated_to=query.get("toUpdatedAt"),
    )
    summaries, total = call.engine.prompts.page(call.project_id, wanted, limit, (page - 1) * limit)
    meta = {"page": page, "limit": limit, "totalPages": -(-total // limit), "totalItems": total}
    # The server sends the numbers twice: its first release called them `pagination` (langfuse#2068).
    return json_response({"data": [_listed(one) for one in summaries], "meta": meta, "pagination": meta})


async def get_prompt(call: Call) -> Response:
    """Return one version, by number or label (else `production`), with inclusions resolved."""
    query = call.query(_GET)
    name, version, label = call.params["promptName"], query.get("version"), query.get("label")
    if version and label:
        raise InvalidRequest(_BOTH)
    prompts = call.engine.prompts
    if version:
        found = prompts.by_version(call.project_id, name, version)
        missing = f"with version {version}"
    else:
        found = prompts.by_label(call.project_id, name, label or PRODUCTION)
        missing = f"with label '{PRODUCTION if label is None else label}'"
    if found is None:
        raise NotFound(f"Prompt not found: '{name}' {missing}")
    answer = {**_shown(found), "isActive": PRODUCTION in found.labels, "resolutionGraph": None}
    if query["resolve"] == "true":
        try:
            graph = _resolve(prompts, found, prompts.dependencies(found.id))
        except PromptGraphError as error:
            raise Conflict(str(error)) from None
        answer.update(prompt=graph.resolved, resolutionGraph=_shown_graph(graph))
    return json_response(answer)


async def update_labels(call: Call) -> Response:
    """Give a version further labels, taking them from other versions."""
    body = await call.json(_NEW_LABELS)
    name, number = call.params["name"], to_number(call.params["version"])
    state, prompts = call.engine.state, call.engine.prompts
    with state.transaction():
        found = prompts.by_version(call.project_id, name, number)
        if found is None:
            raise NotFound(f"Prompt '{name}' version {number_text(number)} not found in project")
        labels = list(dict.fromkeys([*body["newLabels"], *found.labels]))
        prompts.take_labels(call.project_id, name, body["newLabels"])
        updated_at = prompts.set_labels(found.id, labels)
    return json_response(_shown(replace(found, labels=labels, updated_at=updated_at)))


async def delete_prompt(call: Call) -> Response:
    """Delete a prompt, one version, or what a label names, unless another prompt includes it."""
    query = call.query(_GET)
    version, label = query.get("version"), query.get("label")
    if version and label:
        raise InvalidRequest(_BOTH)
    state, prompts, name = call.engine.state, call.engine.prompts, call.params["promptName"]
    with state.transaction():
        going = prompts.versions(call.project_id, name, version, label)
        if not going:
            raise NotFound("Prompt not found")
        gone = {one.version for one in going}
        staying = [one for one in prompts.versions(call.project_id, name) if one.version not in gone]
        _refuse_broken_inclusions(prompts, call.project_id, name, gone, staying)
        if staying and any(LATEST in one.labels for one in going):
            prompts.set_labels(staying[-1].id, [*staying[-1].labels, LATEST])
        prompts.delete(going)
    return Response(status_code=204)


def _refuse_broken_inclusions(
    prompts: PromptStore, project_id: str, name: str, gone: set[int], staying: list[PromptVersion]
) -> None:
    labels = {label for one in staying for label in one.labels}
    broken = [
        f"{one.name} v{one.version} depends on {name} "
        + (f"v{one.child_version}" if one.child_version else str(one.child_label))
        for one in prompts.dependents(project_id, name)
        if one.child_version in gone or (one.child_label is not None and one.child_label not in labels)
    ]
    if broken:
        lines = "\n".join(broken)
        raise InvalidRequest(
            f"Other prompts are depending on prompt versions you are trying to delete:\n\n{lines}\n\n"
            "Please delete the dependent prompts first."
        )


def _resolve(prompts: PromptStore, root: PromptVersion, dependencies: Sequence[Dependency]) -> PromptGraph:
    def find(dependency: Dependency) -> PromptVersion | None:
        if dependency.version is not None:
            return prompts.by_version(root.project_id, dependency.name, dependency.version)
        return prompts.by_label(root.project_id, dependency.name, dependency.label or "")

    return resolve(root, dependencies, find, prompts.dependencies)


def _shown(prompt: PromptVersion) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "createdAt": iso(prompt.created_at),
        "updatedAt": iso(prompt.updated_at),
        "projectId": prompt.project_id,
        "createdBy": prompt.created_by,
        "prompt": prompt.prompt,
        "name": prompt.name,
        "version": prompt.version,
        "type": prompt.type,
        # A column of the first release that is still sent; only the read of one prompt fills it.
        "isActive": None,
        "config": prompt.config,
        "tags": prompt.tags,
        "labels": prompt.labels,
        "commitMessage": prompt.commit_message,
    }


def _shown_graph(graph: PromptGraph) -> dict[str, Any] | None:
    if not graph.dependencies:
        return None
    return {
        "root": {"name": graph.root.name, "version": graph.root.version, "id": graph.root.id},
        "dependencies": {
            parent: [{"id": child.id, "name": child.name, "version": child.version} for child in children]
            for parent, children in graph.dependencies.items()
        },
    }


def _listed(summary: PromptSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "tags": summary.tags,
        "lastUpdatedAt": iso(summary.last_updated_at),
        "versions": summary.versions,
        "labels": summary.labels,
        "type": summary.type,
        "lastConfig": summary.last_config,
    }


_NAMED = ErrorStyle.NAMED
_ONE = "/api/public/v2/prompts/{promptName}"

OPERATIONS = [
    Operation("GET", "/api/public/prompts", get_first_prompt, errors=ErrorStyle.CLASS_FIRST),
    Operation("POST", "/api/public/prompts", create_first_prompt, errors=ErrorStyle.CLASS_FIRST),
    Operation("GET", "/api/public/v2/prompts", list_prompts, "prompts_list", errors=_NAMED),
    Operation("POST", "/api/public/v2/prompts", create_prompt, "prompts_create", errors=_NAMED),
    Operation("GET", _ONE, get_prompt, "prompts_get", errors=_NAMED),
    Operation(
        "DELETE", "/api/public/v2/prompts/{promptName}", delete_prompt, "prompts_delete", errors=_NAMED
    ),
    Operation(
        "PATCH", "/api/public/v2/prompts/{name}/versions/{version}", update_labels, "promptVersion_update"
    ),
]
