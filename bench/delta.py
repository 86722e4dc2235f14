"""What does a patch cost? Microseconds for JSON documents of 500 bytes and 5 KiB of which three numbers change.

Made in Cython, and by the plain Python model for comparison: a publication with subscribers who agreed on deltas
needs one patch, on the loop, however many they are.
"""

import json
import time
from functools import partial
from itertools import pairwise

import click

from bench import _fossil_model as model
from bench import _harness as harness
from centrifast._fossil import create_delta

CHANGED_ROWS = 3


def document(size: int, turn: int) -> bytes:
    """A league table of about *size* bytes; in every *turn* three teams have other points."""
    rows: list[dict[str, object]] = []
    while len(json.dumps(rows, separators=(",", ":"))) < size:
        rows.append(
            {"team": f"Team {len(rows)}", "points": 100 + 7 * len(rows), "form": "WDLWW", "home": True}
        )
    for number in range(CHANGED_ROWS):
        row = rows[number * len(rows) // CHANGED_ROWS]
        row["points"] = 1000 + 31 * turn + number
    return json.dumps(rows, separators=(",", ":")).encode()


def measure(size: int, seconds: float) -> harness.Figures:
    """Both encoders in turn, with the same documents."""
    documents = [document(size, turn) for turn in range(8)]
    pairs = list(pairwise(documents))
    spent, model_spent, made = 0.0, 0.0, 0
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        started = time.perf_counter()
        patches = [create_delta(base, target) for base, target in pairs]
        between = time.perf_counter()
        model_patches = [model.create_delta(base, target) for base, target in pairs]
        model_spent += time.perf_counter() - between
        spent += between - started
        made += len(pairs)
        if patches != model_patches:
            raise harness.BenchError("the encoders made different patches")
    return {
        "bytes": len(documents[0]),
        "patch_bytes": len(patches[0]),
        "us": 1e6 * spent / made,
        "model_us": 1e6 * model_spent / made,
        "ratio": model_spent / spent,
    }


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=0.5, show_default=True, help="Of each measurement.")
def main(rounds: int, seconds: float) -> None:
    """Cost of a patch."""
    sizes = {"500": 500, "5k": 5 * 1024}
    results = harness.in_turn(rounds, {name: partial(measure, size, seconds) for name, size in sizes.items()})
    figures: harness.Figures = {"rounds": rounds}
    for name, measured in results.items():
        for key in measured[0]:
            figures[f"{key}_{name}"] = harness.median(measured, key)
    harness.report("delta", figures)


if __name__ == "__main__":
    main()
