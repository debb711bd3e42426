"""The engine: its parts, opened and closed in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from .alert_board import AlertBoard
from .config import EngineConfig
from .faults import FaultPlan
from .http.auth import Authenticator
from .http.intake import Intake
from .http.reads import Reads
from .http.signed_urls import UrlSigner
from .judge.calls import Caller
from .judge.client import JudgeClient
from .store.annotation_queues import AnnotationQueueStore
from .store.comments import CommentStore
from .store.dashboards import DocumentStore
from .store.dataset_items import DatasetItemStore
from .store.dataset_runs import DatasetRunStore
from .store.datasets import DatasetStore
from .store.evaluation_rules import EvaluationRuleStore
from .store.evaluators import EvaluatorStore
from .store.events import EventsReader
from .store.llm_connections import LlmConnectionStore
from .store.login_sessions import LoginSessions
from .store.media import MediaStore
from .store.models import Models
from .store.price_list import PriceListUpdate
from .store.projection import MetricsProjection, RememberedRows
from .store.prompts import PromptStore
from .store.score_configs import ScoreConfigs
from .store.secrets import SecretBox
from .store.state import StateStore
from .store.storage import Storage
from .store.subjects import Subjects
from .store.writer.client import WriterClient
from .store.writer.process import WriterProcess
from .task_client import TaskClient
from .watch import Watch

# What the server gives a test call of a model that a client waits for.
_PREFLIGHT_SECONDS = 95.0
# For work on large bodies and answers, which takes the interpreter away from all others: more threads would
# not make it faster, and each of them is one more to wait for.
_THREADS_BESIDE = 4


class Engine:
    """Everything that handlers share. Open it before the first request, close it after the last.

    `events`, `subjects` and `metrics` exist from `open` on: the writer creates the file. `gave_up` is called
    when the engine cannot go on.
    """

    events: EventsReader
    subjects: Subjects
    metrics: MetricsProjection

    def __init__(
        self,
        config: EngineConfig,
        writer: WriterProcess | None = None,
        gave_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self.intake = Intake()
        self.reads = Reads()
        self.beside = Reads(_THREADS_BESIDE)
        self.faults = FaultPlan(config.faults or ())
        self.writer = WriterClient(config.data_dir, gave_up, writer)
        self.state = StateStore(config.data_dir, config.salt)
        self.storage = Storage(config.data_dir)
        self.writer.refused = self.storage.refuse
        self.watch = Watch(self.writer, self.storage, self.state, gave_up)
        self.authenticator = Authenticator(self.state, config)
        self.prompts = PromptStore(self.state)
        self.datasets = DatasetStore(self.state)
        self.dataset_items = DatasetItemStore(self.state)
        self.dataset_runs = DatasetRunStore(self.state)
        self.comments = CommentStore(self.state)
        self.annotation_queues = AnnotationQueueStore(self.state)
        self.llm_connections = LlmConnectionStore(self.state)
        self.evaluators = EvaluatorStore(self.state)
        self.evaluation_rules = EvaluationRuleStore(self.state)
        self.secrets = SecretBox(config.data_dir, config.encryption_key)
        self.model_caller = Caller(config.llm_allowed_hosts, timeout_seconds=_PREFLIGHT_SECONDS)
        self.judge = JudgeClient(config.data_dir, config.judge, self.writer, self.state)
        self.alerts = AlertBoard()
        self.dashboards = DocumentStore(self.state, "dashboards")
        self.dashboard_widgets = DocumentStore(self.state, "dashboard_widgets")
        self.media = MediaStore(self.state, config.data_dir)
        self.url_signer = UrlSigner(config.encryption_key, config.salt)
        self.models = Models(self.state.db)
        self.score_configs = ScoreConfigs(self.state.db)
        self.tasks = TaskClient(config.data_dir)
        self.price_list = PriceListUpdate(self.state.path)
        if config.init:
            self.state.tenancy.provision(config.init)

    @cached_property
    def login_sessions(self) -> LoginSessions:
        """Who is signed in to the viewer; opened for the first page."""
        return LoginSessions(self.config.data_dir)

    async def open(self) -> None:
        """Start what needs a running event loop.

        Raises:
            EngineError: the event store cannot be used.
        """
        await self.writer.open()
        self.events = EventsReader(self.config.data_dir, self.config.ingest_lag_ms)
        self.writer.committed = self.events.committed
        self.subjects = Subjects(self.events, self.reads.run)
        self.metrics = MetricsProjection(self.config.data_dir, self.events)
        self.counts = RememberedRows(self.metrics, self.events)
        if not self.config.ingest_lag_ms:
            self.metrics.start()
        # Last: it takes a core for half a second, which the writer's start should have.
        self.price_list.start()
        self.judge.ensure(self.events.last_sequence())
        self.watch.start()

    async def close(self) -> None:
        """Stop in the reverse order; everything acknowledged is on disk already."""
        await self.watch.stop()
        await self.judge.close()
        await self.model_caller.close()
        await self.tasks.close()
        self.metrics.close()
        self.events.close()
        await self.writer.close()
        self.price_list.stop()
        if "login_sessions" in self.__dict__:
            self.login_sessions.close()
        self.state.close()
