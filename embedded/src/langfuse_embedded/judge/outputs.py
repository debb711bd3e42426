"""What a judge has to answer: its JSON schema, and how an answer is read.

As the server does it (`packages/shared/src/features/evals/outputDefinition.ts`): `reasoning` before `score`,
no coercion, no repair, further keys are passed over.
"""

from __future__ import annotations

from typing import Any

import orjson

from langfuse_embedded.store.evaluators import Output

NO_JSON = "No object generated: could not parse the response."
NO_FIT = "No object generated: response did not match schema."


class InvalidAnswer(Exception):
    """A model's answer is not what was asked for."""


def answer_schema(output: Output) -> dict[str, Any]:
    """Return the JSON schema that a model's answer has to fit."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", **_described(output.get("reasoning"))},
            "score": {**_score_schema(output), **_described(output.get("score"))},
        },
        "required": ["reasoning", "score"],
        "additionalProperties": False,
    }


def _described(text: str | None) -> dict[str, str]:
    return {"description": text} if text else {}


def _score_schema(output: Output) -> dict[str, Any]:
    kind = output["dataType"]
    if kind == "BOOLEAN":
        return {"type": "boolean"}
    if kind == "NUMERIC":
        bounds = (("minimum", output.get("minValue")), ("maximum", output.get("maxValue")))
        return {"type": "number", **{name: bound for name, bound in bounds if bound is not None}}
    one = {"type": "string", "enum": output["categories"]}
    if not output["multiple"]:
        return one
    return {"minItems": 1, "maxItems": len(output["categories"]), "type": "array", "items": one}


def parsed_answer(text: str, output: Output) -> dict[str, Any]:
    """Return `reasoning` and `score` of an answer.

    Raises:
        InvalidAnswer: it is not JSON, or does not fit.
    """
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidAnswer(NO_JSON) from None
    if not isinstance(answer, dict) or not isinstance(answer.get("reasoning"), str):
        raise InvalidAnswer(NO_FIT)
    if not _fits(answer.get("score"), output):
        raise InvalidAnswer(NO_FIT)
    return {"reasoning": answer["reasoning"], "score": answer["score"]}


def _fits(score: Any, output: Output) -> bool:
    kind = output["dataType"]
    if kind == "BOOLEAN":
        return isinstance(score, bool)
    if kind == "NUMERIC":
        if isinstance(score, bool) or not isinstance(score, int | float):
            return False
        least, most = output.get("minValue"), output.get("maxValue")
        return (least is None or score >= least) and (most is None or score <= most)
    if not output["multiple"]:
        return score in output["categories"]
    return (
        isinstance(score, list)
        and 0 < len(score) == len({str(one) for one in score})
        and all(one in output["categories"] for one in score)
    )
