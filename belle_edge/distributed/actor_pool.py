"""Ray's actors that answer the items of a job. One that dies is replaced, and what it had is asked again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..errors import BackendError
from .item_worker import Entry, ItemWorker, Outcome

_MOST_DEATHS = 3  # without an answer in between; of each actor at least one


@dataclass
class _Actor:
    handle: Any
    pending: Any  # the reference of the call that it is at, or None
    loaded: bool = False
    in_flight: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class ActorPool:
    """Some actors with the same model. A result counts when it has come here: so each item has one, once."""

    def __init__(
        self, ray: Any, path: str, load: Mapping[str, Any], *, n_actors: int, hashed: bool = True
    ) -> None:
        """load: of `Belle.load`, `threads` included. hashed: as for `ItemWorker.load`. Actors begin to load now."""
        self._ray = ray
        self._class = ray.remote(ItemWorker).options(
            num_cpus=load["threads"], max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._path, self._load, self._hashed = path, dict(load), hashed
        self._work: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None  # arguments of `begin`
        self._first: tuple[str, dict[str, Any]] | None = None
        self._again: deque[Entry] = deque()
        self._n_deaths = 0
        self._n_actors = n_actors
        self._actors = [self._new() for _ in range(n_actors)]

    def identity(self) -> dict[str, Any]:
        """What decides the bits of answers, once an actor has loaded. Raises what `Belle.load` raises, and
        BackendError."""
        while self._first is None:
            self._wait()
        return self._first[1]

    def answers(
        self,
        entries: Iterator[Entry],
        settings: Mapping[str, Any],
        *,
        max_batch: int,
        raw: bool,
        scored: bool,
    ) -> Iterator[tuple[int, Outcome]]:
        """Results under the keys of their entries, as they finish; to be called once.

        max_batch: of each actor, which has half as many entries waiting. Raises what answering raises, ValueError for
        an actor that would answer otherwise than the first, BackendError where actors die and die.
        """
        self._work = (settings, {"max_batch": max_batch, "raw": raw, "scored": scored})
        for actor in self._actors:
            self._begin(actor)
        n_ahead = max_batch + max(1, max_batch // 2)
        while True:
            for actor in self._actors:
                if actor.loaded and actor.pending is None:
                    self._give(actor, entries, n_ahead)
            if not self._again and not any(actor.in_flight for actor in self._actors):
                first = next(entries, None)  # actors may still be loading
                if first is None:
                    return
                self._again.append(first)
            yield from self._wait()

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self._ray.kill(actor.handle)
        self._actors.clear()

    def _new(self) -> _Actor:
        handle = self._class.remote()
        actor = _Actor(handle, handle.load.remote(self._path, self._load, hashed=self._hashed))
        if self._work is not None:
            self._begin(actor)
        return actor

    def _begin(self, actor: _Actor) -> None:
        assert self._work is not None
        settings, plan = self._work
        actor.handle.begin.remote(settings, **plan)  # its calls are done in their order

    def _give(self, actor: _Actor, entries: Iterator[Entry], n_ahead: int) -> None:
        """Fill it up: with fewer entries than it answers at once it would wait for more, unless it is told the end."""
        n_wanted = n_ahead - len(actor.in_flight)
        given = [self._again.popleft() for _ in range(min(n_wanted, len(self._again)))]
        given += islice(entries, n_wanted - len(given))
        actor.in_flight.update(given)
        if actor.in_flight:
            actor.pending = actor.handle.exchange.remote(given, ended=len(given) < n_wanted)

    def _wait(self) -> list[tuple[int, Outcome]]:
        """The results of the next call that ends; none where that was a model's loading, or a death."""
        pending = {actor.pending: actor for actor in self._actors if actor.pending is not None}
        done, _ = self._ray.wait(list(pending), num_returns=1)
        actor = pending[done[0]]
        try:
            value = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        except self._ray.exceptions.RayActorError as error:
            self._replace(actor, error)
            return []
        actor.pending = None
        if not actor.loaded:
            self._check(*value)
            actor.loaded = True
            return []
        self._n_deaths = 0
        for key, _ in value:
            del actor.in_flight[key]
        results: list[tuple[int, Outcome]] = value
        return results

    def _check(self, machine: str, found: dict[str, Any]) -> None:
        if self._first is None:
            self._first = machine, found
        first, wanted = self._first
        for name in wanted:
            if found[name] != wanted[name]:
                raise ValueError(
                    f"[ray] {name} is {wanted[name]} on {first}, but {found[name]} on {machine}: answers would differ;"
                    " --isa sets the instruction set, the model's file has to be the same"
                )

    def _replace(self, actor: _Actor, error: Exception) -> None:
        self._n_deaths += 1
        if self._n_deaths > max(_MOST_DEATHS, self._n_actors):
            raise BackendError(
                f"[ray] {self._n_deaths} workers died without an answer in between, the last one so: {error}"
            ) from None
        self._ray.kill(actor.handle)  # it may only be out of reach
        self._again.extend(sorted(actor.in_flight.items()))
        self._actors[self._actors.index(actor)] = self._new()


def _cause(error: Any) -> Exception:
    """What a call raised, without the text of the process that raised it."""
    cause = error.cause
    return cause if isinstance(cause, Exception) else BackendError(f"[ray] {error}")
