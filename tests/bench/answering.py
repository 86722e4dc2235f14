"""A question for tests of the driver: prints what it is told to, or fails as told."""

import json
import signal

import click

from bench import _harness as harness


@click.command()
@click.option("--answer", default="{}", help="JSON.")
@click.option("--fail", default="", help="Text of an error.")
@click.option("--hang", is_flag=True, help="Wait for something that never comes.")
@click.option("--rounds", default=3)
@click.option("--connections", default=10_000)
def main(answer: str, fail: str, hang: bool, rounds: int, connections: int) -> None:
    """Answer."""
    if fail:
        raise harness.BenchError(fail)
    if hang:
        signal.pause()
    harness.report("answering", {"rounds": rounds, "connections": connections, **json.loads(answer)})


if __name__ == "__main__":
    main()
