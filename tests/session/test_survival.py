"""A process that is stopped dead, at every file operation and at random moments, loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SURVIVAL = HERE.parents[1] / "benchmarks" / "session_survival.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and kill -9")


def run(*command):
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.stderr


def test_dying_at_any_file_operation_loses_nothing():
    found, said = run(HERE / "crash_points.py")
    assert found["failures"] == []
    assert said == ""
    assert found["tried"] > 60


def test_kill_9_at_random_moments_loses_nothing():
    if not SURVIVAL.exists():
        pytest.skip("the benchmarks are not here")
    found, said = run(SURVIVAL, "--kills", 20)
    assert found["lost"] == []
    assert found["litter"] == []
    assert said == ""
    assert found["kills"] == 20
    assert found["actions"] > 20
