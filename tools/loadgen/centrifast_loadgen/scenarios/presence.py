"""Everybody enters one channel that tells all of all; then some leave. Joins and leaves are counted."""

import json
import time

from centrifast_loadgen._board import Counter
from centrifast_loadgen.details import Presence
from centrifast_loadgen.orders import Drop
from centrifast_loadgen.settings import SettingsError
from centrifast_loadgen.stage import Stage


class PresenceRoom:
    """Of N who enter, the first sees N joins, the last one: its own. All together N (N + 1) / 2."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._entered = 0
        self._joins = 0
        self._joins_seconds = 0.0
        self._left = 0
        self._leaves_seconds = 0.0
        self._present: list[int | None] = [None, None]

    def play(self) -> None:
        """Enter, wait for the joins, let some leave, wait for the leaves. Raises SettingsError without any join."""
        stage, settings, fleet = self._stage, self._stage.settings, self._stage.fleet
        with stage.measured():
            began = time.monotonic()
            self._entered = stage.connect()
            if not self._entered:
                return
            self._wait(Counter.JOINS, self._entered * (self._entered + 1) // 2)
            self._joins = fleet.total(Counter.JOINS)
            self._joins_seconds = self._since(began)
            if not self._joins:
                raise SettingsError(
                    f"nobody saw a join: {settings.channel(0)!r} needs presence, join_leave and "
                    "force_push_join_leave (or allow_presence_for_client) on the server"
                )
            self._present[0] = self._ask()
            self._leave()
            if settings.messages:
                stage.feed.publish(settings.messages, rate=settings.rate)
                stage.feed.wait()

    def details(self) -> Presence:
        """Joins, leaves, and what the server says about who is there."""
        fleet = self._stage.fleet
        return Presence(
            joins=self._joins or fleet.total(Counter.JOINS),
            joins_expected=self._entered * (self._entered + 1) // 2,
            joins_seconds=self._joins_seconds,
            leaves=fleet.total(Counter.LEAVES),
            leaves_expected=self._left * (self._entered - self._left),
            leaves_seconds=self._leaves_seconds,
            doubled=fleet.total(Counter.DOUBLED_JOINS),
            unseen=fleet.total(Counter.UNSEEN),
            left=self._left,
            present=self._present[0],
            present_after=self._present[1],
        )

    def _leave(self) -> None:
        fleet, settings = self._stage.fleet, self._stage.settings
        staying = fleet.total(Counter.OPEN) - int(settings.connections * settings.leave)
        if not settings.leave or staying < 0:
            return
        began = time.monotonic()
        fleet.order(
            Drop(settings.connections - int(settings.connections * settings.leave), settings.connections)
        )
        fleet.wait(lambda: fleet.total(Counter.OPEN) <= staying, settings.connect_timeout, "leaving")
        self._left = fleet.total(Counter.DROPPED)
        self._wait(Counter.LEAVES, self._left * (self._entered - self._left))
        self._leaves_seconds = self._since(began)
        self._present[1] = self._ask()

    def _wait(self, counter: Counter, target: int) -> None:
        fleet = self._stage.fleet
        fleet.wait_steady(
            lambda: fleet.total(counter), target, f"{fleet.total(counter):,} {counter.name.lower()}"
        )

    def _since(self, began: float) -> float:
        return max(self._stage.fleet.board.largest(Counter.LAST_NS) / 1e9 - began, 0.0)

    def _ask(self) -> int | None:
        """How many the server says are there; None when its API cannot be asked."""
        settings = self._stage.settings
        answer = self._stage.feed.ask("presence_stats", json.dumps({"channel": settings.channel(0)}).encode())
        try:
            return None if answer is None else int(json.loads(answer)["result"]["num_clients"])
        except (ValueError, KeyError, TypeError):
            return None
