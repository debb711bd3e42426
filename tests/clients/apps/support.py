"""What the small applications share: an OTLP exporter to Langfuse, and how they tell what they did."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

MODEL = "gpt-4o-mini"


def provider_to_langfuse(service: str) -> TracerProvider:
    """Return a tracer provider that exports to Langfuse with nothing but OpenTelemetry's own exporter."""
    pair = f"{os.environ['LANGFUSE_PUBLIC_KEY']}:{os.environ['LANGFUSE_SECRET_KEY']}"
    exporter = OTLPSpanExporter(
        endpoint=f"{os.environ['LANGFUSE_BASE_URL']}/api/public/otel/v1/traces",
        headers={"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
    )
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def tell(**facts: Any) -> None:
    """Print what the test has to know, as the last line."""
    print(json.dumps(facts))
