"""Evaluators and evaluation rules, on servers with `v2` routes and on those with routes below `/unstable`.

An identical POST to `/unstable` makes a new version: nothing is sent unless something differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.api.client import segment
from scripts.core.errors import ProvisioningError
from scripts.provision.content import Content
from scripts.provision.judges import EXPERIMENT_SOURCES, EvaluationRule, Evaluator
from scripts.provision.resources import Action, Body, Change, Difference, Found, Wanted, compact, differences
from scripts.provision.server import Server

_V2, _OLDER = "v2", "unstable"
# What a server without these routes answers.
_ABSENT = (403, 404, 405, 501)
_LIMIT = 100
_EXPERIMENT = {"column": "isExperimentItemRootSpan", "operator": "=", "value": True, "type": "boolean"}
# Ends with a new definition: langfuse/api/evaluators/client.py of SDK 5.0.4, `update`.
_CLEARED = (
    "LLM_CONNECTION_MISSING",
    "DEFAULT_EVAL_MODEL_MISSING",
    "EVAL_MODEL_CONFIG_INVALID",
    "EVAL_MODEL_UNAVAILABLE",
)
_GENERATION = "generation of evaluators"


def generation(server: Server) -> str:
    """Return which routes a server has: `v2`, `unstable`, or nothing."""
    known = server.ids.get((_GENERATION, ""))
    if known is None:
        known = next(
            (one for one in (_V2, _OLDER) if server.get(f"{one}/evaluators", limit=1, also=_ABSENT)), ""
        )
        server.note_id(_GENERATION, "", known)
    return known


def _rows(server: Server, path: str) -> list[Body]:
    version = generation(server)
    if not version:
        return []
    if version == _OLDER:
        return list(server.pages(f"{version}/{path}"))
    return [row for page, _ in server.by_cursor(f"{version}/{path}", {"limit": _LIMIT}) for row in page]


class Evaluators:
    """See Kind. An evaluator is known by its name; of several the newest counts."""

    name = "evaluator"
    section = "evaluators"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [Wanted(one.name, _evaluator_body(one)) for one in content.evaluators]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        chosen: dict[str, Found] = {}
        for row in _rows(server, "evaluators"):
            if row["type"] != "llm_as_judge":
                continue
            body = _from_v2(row) if generation(server) == _V2 else _from_older(row)
            chosen.setdefault(row["name"], Found(row["name"], body, row["id"]))
            server.note_id(self.name, f"{row['name']} ({row['id']})", row["id"])
        for one in chosen.values():
            server.note_id(self.name, one.key, one.id)
        return list(chosen.values())

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        if found is None:
            return Change(Action.CREATE, self.name, wanted.key, wanted=wanted)
        # The older routes keep no description.
        known = {name: value for name, value in wanted.body.items() if name in found.body}
        changed = differences(found.body, known)
        paused = found.body.get("paused")
        if changed or (paused in _CLEARED):
            if paused:
                changed = (*changed, Difference("status", f"paused ({paused})", "active"))
            return Change(Action.UPDATE, self.name, wanted.key, changed, wanted=wanted, found=found)
        if paused:
            note = (
                f"paused by the server ({paused}), and the API cannot reactivate it: correct the connection, "
                "then reactivate it in the user interface, or delete it and run this again"
            )
            return Change(Action.BLOCKED, self.name, wanted.key, (), note, wanted, found)
        return None

    def removal(self, found: Found) -> Change | None:
        return Change(Action.DELETE, self.name, found.key, found=found)

    def write(self, server: Server, change: Change) -> None:
        version = _required(server, change)
        path = f"{version}/evaluators"
        if change.wanted is None:
            if change.found:
                server.delete(f"{path}/{segment(change.found.id)}")
            return
        if version == _OLDER:
            row = server.post(path, _to_older(change.key, change.wanted.body))
        elif change.found is None:
            row = server.post(path, _to_v2(change.key, change.wanted.body))
        else:
            row = server.patch(f"{path}/{segment(change.found.id)}", _to_v2(change.key, change.wanted.body))
        server.note_id(self.name, change.key, row["id"])

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind."""
        body = found.body
        messages, output = body["messages"], body["output"]
        rules = everything.get(EvaluationRules.name, ())
        mapped = (rule.body.get("mappings", {}).get(found.key) for rule in rules)
        variables: Body = body.get("variables") or next(filter(None, mapped), {})
        plain = len(messages) == 1 and messages[0]["role"] == "user"
        return compact(
            {
                "name": found.key,
                "description": body.get("description", ""),
                **({"prompt": messages[0]["content"]} if plain else {"messages": messages}),
                "model": body["model"],
                "variables": {
                    name: compact({"source": one["source"], "json_path": one.get("jsonPath")})
                    for name, one in variables.items()
                },
                "output": {
                    key: value
                    for key, value in output.items()
                    if value is not None and value is not False and value != []
                },
            }
        )


class EvaluationRules:
    """See Kind. A rule is known by its name."""

    name = "evaluation rule"
    section = "evaluation_rules"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        evaluators = {one.name: one for one in content.evaluators}
        return [Wanted(one.name, _rule_body(one, evaluators)) for one in content.evaluation_rules]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        names = {
            value: key.removesuffix(f" ({value})")
            for (kind, key), value in server.ids.items()
            if kind == Evaluators.name
        }
        chosen: dict[str, Found] = {}
        for row in _rows(server, "evaluation-rules"):
            if row.get("target") in ("trace", "dataset"):
                continue  # of an older data model: the API changes nothing of them
            if generation(server) == _V2:
                used = [
                    names.get(one["evaluatorId"], one["evaluatorId"]) for one in row["evaluatorAssignments"]
                ]
                conditions = [one for one in row["filter"] if one != _EXPERIMENT]
                target = "experiment" if len(conditions) < len(row["filter"]) else "observation"
            else:
                used = [one["evaluator"]["name"] for one in row["evaluators"]]
                conditions, target = row["filter"], row["target"]
            body: Body = {
                "enabled": row["enabled"],
                "target": target,
                "sampling": row["sampling"],
                "filter": [_condition(one) for one in conditions],
                "evaluators": used,
            }
            if generation(server) == _OLDER:
                body["mappings"] = {
                    one["evaluator"]["name"]: _variables(one["mapping"])
                    for one in row["evaluators"]
                    if one["mapping"] is not None
                }
            chosen.setdefault(row["name"], Found(row["name"], body, row["id"]))
        return list(chosen.values())

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        if found is None:
            return Change(Action.CREATE, self.name, wanted.key, wanted=wanted)
        known = {name: value for name, value in wanted.body.items() if name in found.body}
        changed = differences(found.body, known)
        if not changed:
            return None
        return Change(Action.UPDATE, self.name, wanted.key, changed, wanted=wanted, found=found)

    def removal(self, found: Found) -> Change | None:
        return Change(Action.DELETE, self.name, found.key, found=found)

    def write(self, server: Server, change: Change) -> None:
        version = _required(server, change)
        path = f"{version}/evaluation-rules"
        if change.wanted is None:
            if change.found:
                server.delete(f"{path}/{segment(change.found.id)}")
            return
        body = dict(change.wanted.body)
        names, mappings, target = body.pop("evaluators"), body.pop("mappings"), body["target"]
        missing = [name for name in names if (Evaluators.name, name) not in server.ids]
        if missing:
            raise ProvisioningError(
                f"The evaluation rule {change.key} needs the evaluators {', '.join(missing)}, "
                "which the server does not have.",
                fix="run make bootstrap again.",
            )
        if version == _V2:
            del body["target"]
            if target == "experiment":
                body["filter"] = [_EXPERIMENT, *body["filter"]]
            body["evaluatorAssignments"] = [
                {"evaluatorId": server.ids[Evaluators.name, one]} for one in names
            ]
        else:
            body["evaluators"] = [
                {
                    "evaluator": {"name": one},
                    **({"mapping": _mapping(mappings[one])} if one in mappings else {}),
                }
                for one in names
            ]
        body["name"] = change.key
        if change.found is None:
            server.post(path, body)
        else:
            server.patch(f"{path}/{segment(change.found.id)}", body)

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind. A rule without evaluators of this kind has nothing that a file could say."""
        known = {one.key for one in everything[Evaluators.name]}
        names = [name for name in found.body["evaluators"] if name in known]
        if not names:
            return None
        body = found.body
        conditions = [{key: value for key, value in one.items() if key != "type"} for one in body["filter"]]
        given = {"name": found.key, "evaluators": names, "enabled": body["enabled"], "target": body["target"]}
        defaults = {"enabled": False, "target": "observation", "sampling": 1, "filter": []}
        given |= {"sampling": body["sampling"], "filter": conditions}
        return {key: value for key, value in given.items() if key not in defaults or value != defaults[key]}


def _required(server: Server, change: Change) -> str:
    version = generation(server)
    if not version:
        raise ProvisioningError(
            f"{server.base_url} has no routes for evaluators, which the {change.kind} {change.key} needs.",
            fix="use a server from 4.16 on, or take evaluators and evaluation_rules out of the content.",
        )
    return version


def _evaluator_body(one: Evaluator) -> Body:
    output = one.output
    return {
        "description": one.description,
        "messages": [message.model_dump() for message in one.all_messages],
        "model": one.model.model_dump() if one.model else None,
        "variables": _sources(one),
        "output": {
            "data_type": output.data_type,
            "reasoning": output.reasoning,
            "score": output.score,
            "min_value": output.min_value,
            "max_value": output.max_value,
            "categories": output.categories,
            "multiple": output.multiple,
        },
    }


def _rule_body(one: EvaluationRule, evaluators: Mapping[str, Evaluator]) -> Body:
    used = [evaluators[name] for name in one.evaluators if name in evaluators]
    return {
        # The older routes take sources of experiments in rules only.
        "mappings": {each.name: _sources(each) for each in used if each.needs_experiment},
        "enabled": one.enabled,
        "target": one.target,
        "sampling": one.sampling,
        "filter": [
            _condition({**condition.model_dump(), "type": condition.type, "value": condition.sent_value})
            for condition in one.filter
        ],
        "evaluators": one.evaluators,
    }


def _condition(row: Mapping[str, Any]) -> Body:
    names = ("column", "type", "operator", "value", "key")
    return {name: row[name] for name in names if row.get(name) is not None}


def _sources(one: Evaluator) -> Body:
    return {
        name: compact({"source": source.source, "jsonPath": source.json_path})
        for name, source in one.variables.items()
    }


def _mapping(variables: Body) -> list[Body]:
    return [{"variable": name, **source} for name, source in variables.items()]


def _variables(mapping: Sequence[Body] | None) -> Body:
    return {
        one["variable"]: compact({"source": one["source"], "jsonPath": one.get("jsonPath")})
        for one in mapping or ()
    }


def _bounds(output: Body) -> Body:
    if output["data_type"] == "CATEGORICAL":
        return {"categories": output["categories"], "shouldAllowMultipleMatches": output["multiple"]}
    return {
        key: value
        for key, value in (("minValue", output["min_value"]), ("maxValue", output["max_value"]))
        if value is not None
    }


def _output(kind: str, reasoning: str, score: str, bounds: Mapping[str, Any]) -> Body:
    return {
        "data_type": kind,
        "reasoning": reasoning,
        "score": score,
        "min_value": bounds.get("minValue"),
        "max_value": bounds.get("maxValue"),
        "categories": bounds.get("categories") or [],
        "multiple": bool(bounds.get("shouldAllowMultipleMatches")),
    }


def _to_v2(name: str, body: Body) -> Body:
    output = body["output"]
    return {
        "type": "llm_as_judge",
        "name": name,
        "description": body["description"] or None,
        "prompt": body["messages"],
        "modelConfig": body["model"],
        "variableMapping": _mapping(body["variables"]),
        "outputDefinition": {
            "dataType": output["data_type"],
            "scoreReasoningInstructions": output["reasoning"],
            "scoreValueInstructions": output["score"],
            **_bounds(output),
        },
    }


def _from_v2(row: Body) -> Body:
    output = row["outputDefinition"]
    return {
        "description": row.get("description") or "",
        "messages": [{"role": one["role"], "content": one["content"]} for one in row["prompt"]],
        "model": row.get("modelConfig"),
        "variables": _variables(row.get("variableMapping")),
        "output": _output(
            output["dataType"],
            output.get("scoreReasoningInstructions") or "",
            output.get("scoreValueInstructions") or "",
            output,
        ),
        **({"paused": row["pausedReason"] or "unknown"} if row["status"] == "paused" else {}),
    }


def _to_older(name: str, body: Body) -> Body:
    messages, output = body["messages"], body["output"]
    if len(messages) > 1 or messages[0]["role"] != "user":
        raise ProvisioningError(
            f"The evaluator {name} has messages, and this server takes one text.",
            fix="write it as prompt, or use a server with the v2 routes of evaluators.",
        )
    of_experiments = any(one["source"] in EXPERIMENT_SOURCES for one in body["variables"].values())
    return {
        "type": "llm_as_judge",
        "name": name,
        "prompt": messages[0]["content"],
        "modelConfig": body["model"],
        **({} if of_experiments else {"mapping": _mapping(body["variables"])}),
        "outputDefinition": {
            "dataType": output["data_type"],
            "reasoning": {"description": output["reasoning"]},
            "score": {"description": output["score"], **_bounds(output)},
        },
    }


def _from_older(row: Body) -> Body:
    output = row["outputDefinition"]
    score = output["score"]
    return {
        "messages": [{"role": "user", "content": row["prompt"]}],
        "model": row.get("modelConfig"),
        # Where it has none, its rules say it.
        **({} if row.get("mapping") is None else {"variables": _variables(row["mapping"])}),
        "output": _output(
            output["dataType"], output["reasoning"]["description"], score["description"], score
        ),
    }
