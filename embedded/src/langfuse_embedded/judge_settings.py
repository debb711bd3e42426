"""What the judge's process is told by the server's process."""

from __future__ import annotations

from dataclasses import dataclass, field

from langfuse_embedded.outbound_urls import AllowedHosts


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How judgements are made.

    Attributes:
        concurrency: calls of models at a time (`LANGFUSE_LLM_AS_JUDGE_EXECUTION_WORKER_CONCURRENCY`).
        retries: how often a judgement is tried again (`LANGFUSE_LLM_AS_JUDGE_QUEUE_RETRY_MAX_ATTEMPTS`).
        retry_seconds: for how long (`LANGFUSE_LLM_AS_JUDGE_QUEUE_RETRY_MAX_AGE_SECONDS`).
        timeout_seconds: for one answer of a model.
        budget_usd: what a project may spend on a day (UTC); 0: no limit (`EMBEDDED_JUDGE_BUDGET_USD`).
        allowed: addresses inside the network that may be called.
        encryption_key: for the secrets of connections.
    """

    concurrency: int = 5
    retries: int = 4
    retry_seconds: int = 7200
    timeout_seconds: float = 120.0
    budget_usd: float = 0.0
    allowed: AllowedHosts = field(default_factory=AllowedHosts)
    encryption_key: str = ""
