"""What the system says about this process."""

import os
import resource
import time
from pathlib import Path

import psutil

from centrifast.metrics import process
from centrifast.metrics.process import open_descriptors, process_families, read_process, started_at
from centrifast.metrics.registry import Kind


def test_numbers_are_those_of_the_system() -> None:
    own = psutil.Process()
    numbers = read_process()
    assert numbers.descriptor_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 0 < numbers.resident_memory <= numbers.virtual_memory
    assert numbers.cpu_seconds > 0
    assert abs(started_at() - own.create_time()) < 5
    assert started_at() < time.time()


def test_every_descriptor_counts(tmp_path: Path) -> None:
    before = open_descriptors()
    opened = [os.open(tmp_path, os.O_RDONLY) for _ in range(7)]
    try:
        assert open_descriptors() - before == 7
    finally:
        for descriptor in opened:
            os.close(descriptor)
    assert open_descriptors() == before == psutil.Process().num_fds() - 1, "it counts the one it counts with"


def test_every_family_has_rows_that_fit_its_labels() -> None:
    for family, rows in process_families():
        assert rows, family.name
        assert all(len(row.labels) == len(family.labels) for row in rows)
        assert family.kind in (Kind.COUNTER, Kind.GAUGE)


def test_what_is_not_known_has_no_row() -> None:
    assert process._known(-1) == []
