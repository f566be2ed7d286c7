"""What a busy machine takes from a process, by the kernel's books."""

import os
import subprocess
import sys

import pytest

from dcache_drill.core_time import CoreTime, waited_for_core

pytestmark = pytest.mark.skipif(CoreTime().waited() == 0.0, reason="this kernel keeps no such books")


def test_a_process_that_waits_for_a_core():
    """Where two processes have one core, this one waits for it, and both ways to look at the books tell so."""
    cores, core = os.sched_getaffinity(0), CoreTime()
    began = core.waited()
    os.sched_setaffinity(0, {min(cores)})
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        while core.waited() - began < 0.02:
            pass
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, cores)
    assert waited_for_core(os.getpid()) >= began + 0.02


def test_a_process_that_is_gone():
    """A process that has ended has waited for nothing."""
    assert waited_for_core(2**22 + 1) == 0.0
