"""Sums over shells of Fourier space, compiled; import inside functions only."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=True)
def accumulate(
    one: Any, two: Any, along_z: Any, along_y: Any, along_x: Any, weight: Any, sums: Any
) -> None:
    """Add up cross and own power of two half spectra, shell by shell.

    Parameters
    ----------
    one, two : (nz, ny, nx // 2 + 1) complex array
        Spectra as `rfftn` gives them.
    along_z, along_y, along_x : array
        Squared frequency along each axis, in shell widths squared.
    weight : (nx // 2 + 1,) array
        How many coefficients of the full spectrum each stands for: 1 or 2.
    sums : (shells, 4) float64 array
        Cross power, power of one, power of two, coefficients; added to.
    """
    shells, length = sums.shape[0], one.shape[2]
    # A row at a time: shells and powers are vector instructions, only the sums are not.
    shell = np.empty(length, np.int32)
    cross = np.empty(length, np.float64)
    power_one, power_two = np.empty_like(cross), np.empty_like(cross)
    for z in range(one.shape[0]):
        for y in range(one.shape[1]):
            plane = along_z[z] + along_y[y]
            if plane >= shells * shells:
                continue
            for x in range(length):
                shell[x] = int(sqrt(plane + along_x[x]) + np.float32(0.5))
                a, b, w = one[z, y, x], two[z, y, x], weight[x]
                cross[x] = w * (a.real * b.real + a.imag * b.imag)
                power_one[x] = w * (a.real * a.real + a.imag * a.imag)
                power_two[x] = w * (b.real * b.real + b.imag * b.imag)
            for x in range(length):
                here = shell[x]
                if here >= shells:
                    break
                sums[here, 0] += cross[x]
                sums[here, 1] += power_one[x]
                sums[here, 2] += power_two[x]
                sums[here, 3] += weight[x]


def warm() -> None:
    """Compile for the types in use."""
    along = np.zeros(1, np.float32)
    for kind in (np.complex64, np.complex128):
        spectrum = np.zeros((1, 1, 1), kind)
        accumulate(spectrum, spectrum, along, along, along, along, np.zeros((1, 4)))
