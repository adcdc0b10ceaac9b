from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image

SCHEMA = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def write_set(folder, data, order="XYZCT", names=None, extra=""):
    """A file per time point and channel, z sections in its pages; data (t, c, z, y, x)."""
    t, c, z, y, x = data.shape
    parts = []
    for i in range(t):
        for j in range(c):
            name = f"a_T{i}_C{j}.ome.tif"
            kept = '<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:1"/>'
            text = f"<OME {SCHEMA}>{kept}</OME>"
            with tifffile.TiffWriter(folder / name, ome=False) as file:
                for k, plane in enumerate(data[i, j]):
                    description = text if k == 0 else None
                    file.write(plane, description=description, metadata=None, contiguous=False)
            shown = (names or {}).get(name, name)
            parts += [
                f'<TiffData FirstT="{i}" FirstC="{j}" FirstZ="{k}" IFD="{k}" PlaneCount="1">'
                f'<UUID FileName="{shown}">urn:uuid:{i}{j}</UUID></TiffData>'
                for k in range(z)
            ]
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?><OME {SCHEMA}><Image ID="Image:0" Name="cell">'
        f'<Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" SizeX="{x}" SizeY="{y}" '
        f'SizeZ="{z}" SizeC="{c}" SizeT="{t}" PhysicalSizeX="0.1" PhysicalSizeY="0.2" '
        f'PhysicalSizeZ="0.5"><Channel Name="DAPI"/><Channel Name="beads"/>{"".join(parts)}{extra}'
        "</Pixels></Image></OME>"
    )
    path = folder / "a.companion.ome"
    path.write_text(xml, encoding="utf-8")
    return path


def stack(*shape):
    return np.arange(np.prod(shape), dtype="u2").reshape(shape)


@pytest.mark.parametrize("opened", ["a.companion.ome", "a_T0_C0.ome.tif", "a_T1_C1.ome.tif"])
def test_set_opens_by_any_of_its_files(tmp_path, opened):
    data = stack(2, 2, 3, 4, 5)
    write_set(tmp_path, data)
    image = open_image(tmp_path / opened)
    assert image.axes == ("t", "c", "z", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert image.scale == pytest.approx((0.5, 0.2, 0.1))
    assert [c.name for c in image.channels] == ["DAPI", "beads"]
    assert image.name == "cell"


def test_counted_planes_follow_the_order(tmp_path):
    data = stack(1, 2, 3, 4, 5)
    path = write_set(tmp_path, data, order="XYCZT")
    text = path.read_text()
    start, end = text.index("<TiffData"), text.rindex("</TiffData>") + len("</TiffData>")
    with tifffile.TiffWriter(tmp_path / "all.tif") as file:
        # channels run fastest
        for plane in data[0].transpose(1, 0, 2, 3).reshape(-1, 4, 5):
            file.write(plane, metadata=None, contiguous=False)
    one = '<TiffData IFD="0" PlaneCount="6"><UUID FileName="all.tif">urn:uuid:9</UUID></TiffData>'
    path.write_text(text[:start] + one + text[end:])
    np.testing.assert_array_equal(np.asarray(open_image(path).data), data[0])


def test_missing_files_are_told(tmp_path):
    data = stack(1, 2, 2, 4, 5)
    path = write_set(tmp_path, data)
    (tmp_path / "a_T0_C1.ome.tif").unlink()
    image = open_image(path)
    np.testing.assert_array_equal(np.asarray(image.data[0]), data[0, 0])
    assert not np.asarray(image.data[1]).any()
    assert "2 planes" in image.missing[-1]
    (tmp_path / "a_T0_C0.ome.tif").unlink()
    with pytest.raises(ReadError, match="beside it"):
        open_image(path)


@pytest.mark.parametrize("name", ["../a_T0_C0.ome.tif", "/etc/passwd", "C:\\a.tif"])
def test_nothing_outside_the_folder_is_opened(tmp_path, name):
    path = write_set(tmp_path, stack(1, 1, 2, 4, 5), names={"a_T0_C0.ome.tif": name})
    with pytest.raises(ReadError, match="outside its folder"):
        open_image(path)


def test_pages_of_another_size(tmp_path):
    path = write_set(tmp_path, stack(1, 1, 2, 4, 5))
    tifffile.imwrite(tmp_path / "a_T0_C0.ome.tif", stack(2, 9, 9), metadata=None)
    image = open_image(path)
    with pytest.raises(ReadError, match="not \\(4, 5\\)"):
        np.asarray(image.data)


def test_other_xml(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<OMEGA/>")
    with pytest.raises(ReadError):
        open_image(path)
    path.write_text("<OME/>")
    with pytest.raises(ReadError, match="no image"):
        open_image(path)
