"""Sums over shells and joint histograms with and without compiled kernels are the same."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.xray import fsc, plain_sums, warm


@pytest.mark.parametrize("shape", [(18, 20, 21), (31, 30)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_shells_without_kernels(monkeypatch, shape, kind):
    warm(block=True)
    rng = np.random.default_rng(2)
    one = rng.normal(size=shape)
    two = one + rng.normal(size=shape)
    given = one.astype(kind), two.astype(kind), 0.01
    compiled = fsc(*given)
    monkeypatch.setattr("napari_clxem.compiling.ready", lambda _name: None)
    plain = fsc(*given)
    np.testing.assert_allclose(plain.correlation, compiled.correlation, atol=1e-5)
    assert np.nanmax(plain.correlation) > 0.1


def test_joint_histograms_without_kernels():
    from napari_clxem.xray import information

    rng = np.random.default_rng(2)
    one = rng.uniform(1, 30, 5000).astype(np.float32)
    two = np.clip(one + rng.normal(0, 2, 5000), 1, 30).astype(np.float32)
    compiled, plain = information.joint(one, two, 32), plain_sums.joint(one, two, 32)
    np.testing.assert_allclose(plain, compiled, atol=1e-9)
    assert plain.sum() == pytest.approx(5000)
    # what one tells of the other, against what is left of two that have nothing in common
    assert plain_sums.information(plain) > 1.0
    alone = np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0))
    assert plain_sums.information(alone) == pytest.approx(0.0, abs=1e-12)
    assert plain_sums.information(np.eye(4)) == pytest.approx(np.log(4.0))
    assert plain_sums.information(np.zeros((3, 3))) == 0.0
