"""What /metrics shows: counts, times and how much is going on, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..generation.streams import Generation
from .admission import Admission
from .served_models import ServedModels

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Of one server, in a registry of its own."""

    def __init__(self, admission: Admission, models: ServedModels) -> None:
        self._registry = CollectorRegistry()
        labels = ("route", "model")
        self._requests = Counter(
            "belle_requests",
            "Requests for an answer, by HTTP status",
            (*labels, "status"),
            registry=self._registry,
        )
        self._tokens = Counter(
            "belle_tokens",
            "Tokens: of prompts (computed or from the cache) and of answers",
            ("model", "kind"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "belle_request_seconds", "Time of a request", labels, buckets=_SECONDS, registry=self._registry
        )
        self._first = Histogram(
            "belle_first_text_seconds",
            "Time from a request to its first piece of text",
            labels,
            buckets=_SECONDS,
            registry=self._registry,
        )
        for name, text, value in (
            ("belle_answers_running", "Answers being written", lambda: admission.n_running),
            ("belle_requests_open", "Requests that run or wait", lambda: admission.n_requests),
            ("belle_models_loaded", "Models in memory", lambda: len(models.loaded)),
        ):
            Gauge(name, text, registry=self._registry).set_function(value)

    def count_request(self, *, route: str, model: str, status: int, seconds: float) -> None:
        """A request has ended."""
        self._requests.labels(route, model, str(status)).inc()
        self._seconds.labels(route, model).observe(seconds)

    def count_first_text(self, *, route: str, model: str, seconds: float) -> None:
        """The first text of a request went out."""
        self._first.labels(route, model).observe(seconds)

    def count_answer(self, *, model: str, result: Generation) -> None:
        """An answer was written to its end."""
        computed = result.prefilled_tokens
        for kind, number in (
            ("prompt", computed),
            ("prompt_cached", result.prompt_tokens - computed),
            ("answer", result.completion_tokens),
        ):
            self._tokens.labels(model, kind).inc(max(0, number))

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
