"""From an evaluator to the connection that it names: what is called, or why nothing can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from langfuse_embedded.store.evaluators import CONNECTION_MISSING, DEFAULT_MODEL_MISSING, Definition
from langfuse_embedded.store.llm_connections import LlmConnection, LlmConnectionStore
from langfuse_embedded.store.secrets import SecretBox, Unreadable

from .calls import ADAPTERS, DEFAULT_URLS, Caller, Target
from .failures import CONFIG_INVALID, CallFailed

PREFLIGHT = (
    'Extract a score (1-5) and reasoning from this text: "This is a test. It worked perfectly because it '
    'matched all passing criteria."'
)
PREFLIGHT_ATTEMPTS = 3
_THEN = "then reactivate it."
_UPDATE = f"Update the evaluator template or default evaluation model, {_THEN}"
PAUSED_MESSAGES = {
    "LLM_CONNECTION_AUTH_INVALID": (
        "LLM authentication failed. Update the LLM connection used by this evaluator and then reactivate it."
    ),
    "LLM_CONNECTION_BILLING_EXHAUSTED": (
        "the LLM provider reported exhausted credits or an exceeded spend budget. Add credits or raise the "
        "limit in your provider account, then reactivate the evaluator."
    ),
    "LLM_CONNECTION_ENDPOINT_UNREACHABLE": (
        "the LLM connection's endpoint hostname could not be resolved. Fix the base URL of the LLM "
        f"connection used by this evaluator, {_THEN}"
    ),
    CONNECTION_MISSING: (
        "no LLM connection found for the provider used by this evaluator. Add or restore the LLM connection, "
        f"{_THEN}"
    ),
    DEFAULT_MODEL_MISSING: (
        "no default evaluation model is configured. Set a default evaluation model or update the evaluator "
        f"template, {_THEN}"
    ),
    CONFIG_INVALID: f"no valid evaluation model is configured. {_UPDATE}",
    "EVAL_MODEL_UNAVAILABLE": f"model not found or unavailable. {_UPDATE}",
    "PROVIDER_ACCOUNT_NOT_READY": (
        "provider account setup is incomplete. Complete the provider setup and then reactivate the evaluator."
    ),
}
"""Why evaluators are paused, as the server says it (`evalConfigBlocking.ts`)."""
CLEARED_BY_DEFINITION = frozenset(
    {CONNECTION_MISSING, DEFAULT_MODEL_MISSING, CONFIG_INVALID, "EVAL_MODEL_UNAVAILABLE"}
)
"""Reasons that end with a new definition: an invalid or missing model configuration."""


class NotCallable(Exception):
    """Nothing can be called for an evaluator; `blocks` is the reason to pause it."""

    def __init__(self, message: str, blocks: str) -> None:
        super().__init__(message)
        self.blocks = blocks


def paused_message(reason: str) -> str:
    """Return the sentence for a person."""
    return f"Evaluator paused: {PAUSED_MESSAGES[reason]}"


def connection_of(
    project_id: str, definition: Definition, connections: LlmConnectionStore
) -> tuple[LlmConnection, str, Mapping[str, float]]:
    """Return the connection that a definition names, the model, and the parameters of the default model.

    Raises:
        NotCallable: there is no such connection; or no model is named, and the project has no default one.
    """
    model = definition["model"]
    if model is None:
        default = connections.default_model(project_id)
        if default is None:
            message = f"No default model or custom model configured for project {project_id}"
            raise NotCallable(message, DEFAULT_MODEL_MISSING)
        return default.connection, default.model, default.parameters
    provider = model["provider"]
    connection = connections.by_provider(project_id, provider)
    if connection is None:
        message = f'API key for provider "{provider}" not found in project {project_id}'
        raise NotCallable(message, CONNECTION_MISSING)
    return connection, model["model"], {}


def target_of(
    project_id: str, definition: Definition, connections: LlmConnectionStore, box: SecretBox
) -> Target:
    """Return what to call for a definition.

    Raises:
        NotCallable: there is nothing to call, and why.
    """
    connection, model, parameters = connection_of(project_id, definition, connections)
    return target_at(connection, model, parameters, connections, box)


def target_at(
    connection: LlmConnection,
    model: str,
    parameters: Mapping[str, float],
    connections: LlmConnectionStore,
    box: SecretBox,
) -> Target:
    """Return what to call for a model of a connection. Raises NotCallable."""
    values = connection.values
    if values.adapter not in ADAPTERS:
        message = (
            f"The embedded engine calls OpenAI-compatible and Anthropic connections, not {values.adapter}"
        )
        raise NotCallable(message, CONFIG_INVALID)
    if (values.config or {}).get("useResponsesApi"):
        raise NotCallable("The embedded engine does not call the Responses API", CONFIG_INVALID)
    try:
        secrets = box.open(connections.sealed(connection) or "")
    except Unreadable:
        message = f'The secret of provider "{connection.provider}" cannot be read: send the connection again'
        raise NotCallable(message, CONFIG_INVALID) from None
    return Target(
        adapter=values.adapter,
        base_url=values.base_url or DEFAULT_URLS[values.adapter],
        secret_key=secrets["secretKey"],
        headers=secrets["extraHeaders"],
        model=model,
        parameters=parameters,
    )


async def preflight_error(caller: Caller, name: str, target: Target, definition: Definition) -> str:
    """Ask a model a test question; return why an evaluator cannot work, or nothing.

    As on the server (`packages/shared/src/server/llm/testModelCall.ts`): what limits or fails is asked three
    times.
    """
    question: Sequence[dict[str, str]] = [{"role": "user", "content": PREFLIGHT}]
    try:
        await caller.ask(target, question, definition["output"], attempts=PREFLIGHT_ATTEMPTS)
    except CallFailed as error:
        if error.status == 404:
            return (
                f'Model configuration not valid for evaluator "{name}". The provider could not find model '
                f"'{target.model}' \u2014 it may be retired, misspelled, or not available to your API key. "
                "Update the evaluator's model or the project's default evaluation model."
            )
        return f'Model configuration not valid for evaluator "{name}". {error}'
    return ""
