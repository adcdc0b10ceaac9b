"""Seeded damage to tiny files: each opens and gives a block of pixels, or says why not."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from fuzz_seeds import MAKERS
from fuzzing import files_of, look_at, mutated, peak

from napari_clxem.errors import ClxemError

MUTATIONS = 30
# Bytes by which the process may grow while damaged files are opened and a block of each is read.
MEMORY = 300 * 1024 * 1024
SECONDS = 5.0


@pytest.mark.parametrize("kind", MAKERS)
def test_damage_is_told_or_harmless(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    files = files_of(tmp_path)
    whole = [file.read_bytes() for file in files]
    look_at(path)
    rng = np.random.default_rng(20)
    told, before = 0, peak()
    for number in range(MUTATIONS):
        chosen = int(rng.integers(len(files)))
        files[chosen].write_bytes(mutated(whole[chosen], rng))
        started = time.perf_counter()
        try:
            look_at(path)
        except ClxemError:
            told += 1
        files[chosen].write_bytes(whole[chosen])
        assert time.perf_counter() - started < SECONDS, number
    assert told < MUTATIONS
    assert peak() - before < MEMORY
