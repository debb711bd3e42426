"""The kinds of objects in the order in which they are written: what others refer to comes first."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.provision.resources import Kind

from .annotation_queues import AnnotationQueues
from .dashboards import Dashboards
from .dataset_items import DatasetItems
from .datasets import Datasets
from .evaluators import EvaluationRules, Evaluators
from .llm_connections import LlmConnections
from .models import Models
from .prompts import Prompts
from .score_configs import ScoreConfigs

KINDS: Sequence[Kind] = (
    ScoreConfigs(),
    Models(),
    Prompts(),
    Datasets(),
    DatasetItems(),
    LlmConnections(),
    AnnotationQueues(),
    Dashboards(),
    Evaluators(),
    EvaluationRules(),
)
