"""Why a model did not answer as asked, and what that means for the evaluator."""

from __future__ import annotations

AUTH_INVALID = "LLM_CONNECTION_AUTH_INVALID"
BILLING_EXHAUSTED = "LLM_CONNECTION_BILLING_EXHAUSTED"
ENDPOINT_UNREACHABLE = "LLM_CONNECTION_ENDPOINT_UNREACHABLE"
MODEL_UNAVAILABLE = "EVAL_MODEL_UNAVAILABLE"
CONFIG_INVALID = "EVAL_MODEL_CONFIG_INVALID"
ACCOUNT_NOT_READY = "PROVIDER_ACCOUNT_NOT_READY"


class CallFailed(Exception):
    """A question was not answered as asked.

    Attributes:
        blocks: why the evaluator has to be paused, or empty.
        retryable: whether it may be answered later.
        status: of the HTTP answer, if there was one.
        usage: what the model used for an answer that does not fit.
        text: that answer.
        attempts: how often the model was called.
    """

    def __init__(self, message: str, *, blocks: str = "", retryable: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.blocks, self.retryable, self.status = blocks, retryable and not blocks, status
        self.usage: dict[str, int] = {}
        self.text: str | None = None
        self.attempts = 1
