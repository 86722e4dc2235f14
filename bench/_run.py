"""Asks questions one after the other, each in a process of its own, and says how far it is.

One that can not be answered here costs nothing but itself: the others are asked, and the end tells.
"""

import importlib.util
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

from bench import _harness as harness
from bench import _results
from bench._provenance import Provenance
from bench._row import Question
from bench._tables import BUSY_LIMIT

BUSY_INTERVAL = 0.5  # seconds for which the machine is watched before each question
# A question that takes so many times what is expected, and a minute, hangs.
PATIENCE = 8.0
END_TIMEOUT = 30.0  # seconds to end its servers when it is interrupted


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, and how thoroughly."""

    questions: Sequence[Question]
    rounds: int = 0  # 0: what each question takes by itself
    quick: bool = False

    def seconds(self, questions: Sequence[Question] | None = None) -> float:
        """About, for some of them or all."""
        some = self.questions if questions is None else questions
        return sum(question.expected_seconds(self.rounds, self.quick) for question in some)


@dataclass(slots=True)
class Outcome:
    """What came of a plan; by question."""

    failed: dict[str, str] = field(default_factory=dict)  # why
    missed: dict[str, list[str]] = field(default_factory=dict)  # rows that are not as required

    def problems(self) -> list[str]:
        """One line each."""
        lines = [f"not measured: {name}: {reason}" for name, reason in self.failed.items()]
        return lines + [f"missed: {name}: {row}" for name, rows in self.missed.items() for row in rows]


def ask_all(plan: Plan, provenance: Provenance, folder: Path) -> Outcome:
    """Ask them in order and store the answers in *folder*. A quick plan stores and judges nothing: it measures none
    of the sizes that rows speak of.
    """
    outcome, began = Outcome(), time.monotonic()
    say(f"{len(plan.questions)} questions, about {clock(plan.seconds())}")
    if len(harness.CORES) == 1:
        say("there is one core only: server and load take from each other, so figures tell little")
    for number, question in enumerate(plan.questions, 1):
        left = plan.seconds(plan.questions[number - 1 :])
        elapsed = time.monotonic() - began
        say(f"[{number}/{len(plan.questions)}] {question.name}: {question.asks} ({clock(elapsed)} so far, "
            f"about {clock(left)} to go, {clock(plan.seconds([question]))} for this)")  # fmt: skip
        busy = busy_share()
        try:
            figures = ask(question, plan)
            command = question.command(plan.rounds, plan.quick)
            rounds = question.rounds_of(plan.rounds, plan.quick)
            answer = _results.document(question, figures, provenance, rounds, command, busy)
        except harness.BenchError as error:
            outcome.failed[question.name] = error.message
            say(f"    not measured: {error.message}")
            continue
        for line in _results.summary(question, answer, judge=not plan.quick):
            say(f"    {line}")
        if not plan.quick:
            _results.write(folder, answer)
            missed = [row["row"] for row in answer["rows"] if row["ok"] is False]
            outcome.missed.update({question.name: missed} if missed else {})
    say(f"took {clock(time.monotonic() - began)}")
    return outcome


def busy_share() -> float:
    """Which part of all cores something else uses at this moment; says so where it is too much."""
    share = psutil.cpu_percent(BUSY_INTERVAL) / 100
    if share > BUSY_LIMIT:
        say(f"    something else uses {share:.0%} of this machine: figures are doubtful")
    return round(share, 3)


def ask(question: Question, plan: Plan) -> harness.Figures:
    """Run one question; its figures. Raises BenchError saying why there are none."""
    module, *options = question.command(plan.rounds, plan.quick)
    lacking = obstacle(question, module, plan.quick)
    if lacking:
        raise harness.BenchError(lacking)
    limit = PATIENCE * plan.seconds([question]) + 60
    done = run([sys.executable, "-m", module, *options], limit)
    if done is None:
        raise harness.BenchError(f"took more than {clock(limit)}")
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise harness.BenchError(reason_of(done.stderr.decode(errors="replace"), done.returncode))
    figures = harness.parse_figures(lines[-1])
    if figures.get("complete") is False:
        raise harness.BenchError("something was lost, so it is no measurement")
    return figures


def obstacle(question: Question, module: str, quick: bool) -> str | None:
    """Why a question can not be asked here, as far as that shows without trying."""
    if importlib.util.find_spec(module) is None:
        return f"there is no {module}"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if not quick and hard != resource.RLIM_INFINITY and hard < question.descriptors:
        return f"needs {question.descriptors:,} descriptors a process, and the hard limit is {hard:,} (ulimit -Hn)"
    return None


def run(command: list[str], limit: float) -> subprocess.CompletedProcess[bytes] | None:
    """What a command said; None when it took more than *limit* seconds. It is interrupted with us, once."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=harness.ROOT,
        env=harness.environment(),
        start_new_session=True,  # a second Ctrl-C would reach it while it ends its servers
    ) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            end(process)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt it, unless it has ended, and kill what does not end by itself."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=END_TIMEOUT)
    with suppress(ProcessLookupError):  # with servers that outlived it: they are of its session
        os.killpg(process.pid, signal.SIGKILL)


def reason_of(said: str, code: int) -> str:
    """The last thing a question said before it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else f"ended with code {code} and said nothing"


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def say(text: str) -> None:
    """Progress, not an answer."""
    click.echo(text, err=True)
