import os
import subprocess
import sys

import pytest
from centrifast_loadgen.settings import SettingsError
from centrifast_loadgen.usage import Meter, Usage, measure


def test_no_process_uses_nothing() -> None:
    assert measure(0) == Usage()


def test_a_process_is_measured_with_its_children() -> None:
    alone = measure(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    with child:
        assert child.stdout is not None
        child.stdout.readline()  # it runs
        together = measure(os.getpid())
        child.communicate(b"\n")
    assert alone.cpu_seconds > 0
    assert together.rss_bytes > alone.rss_bytes


def test_a_process_that_has_ended_is_an_error() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(SettingsError, match="no such process"):
        measure(child.pid)


def test_a_meter_keeps_what_it_knew_of_a_process_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        meter = Meter(child.pid)
        running = meter.measure()
        child.communicate(b"\n")
    assert running.rss_bytes > 0
    assert meter.measure() == running


def test_a_meter_of_no_process_measures_nothing() -> None:
    assert Meter(0).measure() == Usage()
