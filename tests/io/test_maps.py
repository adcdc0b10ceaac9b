from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import ReadError
from napari_clxem.io import can_open, open_image, open_images

NAMESPACE = "http://schemas.datacontract.org/2004/07/Fei.Applications.Perseus.Project"
PROJECT = """<?xml version="1.0" encoding="utf-8"?>
<PerseusProject xmlns="{namespace}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
 <LayerGroups><LayerGroup><Layers>{layers}</Layers></LayerGroup></LayerGroups></PerseusProject>"""
GRID = """<anyType i:type="TileSet"><displayName>LayersData\\Layer\\Cell 1</displayName>
<columns>{columns}</columns><rows>{rows}</rows><pixelSize Value="1e-8"/><tileHfw Value="6e-8"/>
<totalHfw Value="{width}"/><rotation unit="deg" Value="12.5"/>{more}</anyType>"""
TITAN = """<Metadata><StageSettings><StagePosition><X>{x}</X><Y>{y}</Y><Z>3e-3</Z>
<Rotation>0</Rotation><Tilt><Alpha>0</Alpha></Tilt></StagePosition></StageSettings><BinaryResult><PixelSize>
<X unit="m">1e-8</X><Y unit="m">1e-8</Y></PixelSize></BinaryResult></Metadata>"""
ROWS, COLUMNS = 4, 6


def project(root, *layers):
    text = PROJECT.format(namespace=NAMESPACE, layers="".join(layers))
    (root / "MapsProject.xml").write_text(text, encoding="utf-8")


def tile(row, column):
    return (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + 40 * row + 20 * column).astype("u1")


def mosaic(root, shape=(2, 3), stage=None, missing=(), suffix="000000_0-000"):
    folder = root / "LayersData" / "Layer" / "cell 1"
    folder.mkdir(parents=True, exist_ok=True)
    for row in range(shape[0]):
        for column in range(shape[1]):
            if (row, column) in missing:
                continue
            extra = []
            if stage:
                text = TITAN.format(x=stage(row, column)[1], y=stage(row, column)[0])
                extra = [(34683, "s", 0, text.encode() + b"\0", True)]
            name = f"Tile_{row + 1:03d}-{column + 1:03d}-{suffix}.tif"
            tifffile.imwrite(folder / name, tile(row, column), metadata=None, extratags=extra)
    return folder


def expected(step, shape=(2, 3), missing=()):
    found = np.zeros(((shape[0] - 1) * step[0] + ROWS, (shape[1] - 1) * step[1] + COLUMNS), "u1")
    for row in range(shape[0]):
        for column in range(shape[1]):
            if (row, column) not in missing:
                y, x = row * step[0], column * step[1]
                found[y : y + ROWS, x : x + COLUMNS] = tile(row, column)
    return found


def test_overlap_from_the_stage_of_neighbours(tmp_path):
    # neighbours 3 rows and 5 columns apart, on a stage turned by 90 degrees
    mosaic(tmp_path, stage=lambda r, c: (5e-3 + c * 5e-8, 7e-3 - r * 3e-8))
    project(tmp_path)
    assert can_open(tmp_path)
    image = open_image(tmp_path)
    np.testing.assert_array_equal(np.asarray(image.data), expected((3, 5)))
    np.testing.assert_array_equal(np.asarray(image.data[2:5, 1::2]), expected((3, 5))[2:5, 1::2])
    assert image.scale == pytest.approx((0.01, 0.01))
    # halfway between the outermost tiles
    assert image.stage.position == pytest.approx((3000.0, 5000.05, 6999.985))
    assert image.name == "Layer/cell 1"


def test_overlap_from_the_project(tmp_path):
    mosaic(tmp_path)
    # three tiles of 60 nm over 160 nm: 50 nm apart, that is 5 px; down 4/6 of it
    stage = "<StagePosition><x>1e-3</x><y>-2e-3</y></StagePosition>"
    project(tmp_path, GRID.format(rows=2, columns=3, width=1.6e-7, more=stage))
    image = open_image(tmp_path / "MapsProject.xml")
    np.testing.assert_array_equal(np.asarray(image.data), expected((3, 5)))
    assert image.scale == pytest.approx((0.01, 0.01))
    assert image.stage.position[1:] == pytest.approx((-2000.0, 1000.0))
    assert image.stage.rotation == 12.5


def test_without_any_word_of_overlap(tmp_path):
    mosaic(tmp_path)
    project(tmp_path)
    image = open_image(tmp_path)
    assert image.data.shape == (2 * ROWS, 3 * COLUMNS)
    assert "edge to edge" in image.missing[-1]
    assert image.scale is None


def test_missing_tiles(tmp_path):
    mosaic(tmp_path, stage=lambda r, c: (-r * 3e-8, c * 5e-8), missing=[(1, 1)])
    project(tmp_path)
    image = open_image(tmp_path)
    np.testing.assert_array_equal(np.asarray(image.data), expected((3, 5), missing=[(1, 1)]))
    assert "1 of 6 tiles" in image.missing[0]


def test_channels_are_images_of_their_own(tmp_path):
    mosaic(tmp_path)
    mosaic(tmp_path, suffix="000000_0-001")
    project(tmp_path)
    assert len(open_images(tmp_path)) == 2


def pyramid(root, guid="1234-abcd", url_guid=None):
    folder = root / "LayersData" / "overview" / "T000-Z000-CH0" / "data"
    for level, (rows, columns) in enumerate([(2, 3), (1, 2)]):
        for row in range(rows):
            for column in range(columns):
                place = folder / f"l_{level}" / f"c_{column}"
                place.mkdir(parents=True, exist_ok=True)
                # the last row is cut
                part = tile(row, column)[: 3 if row == rows - 1 else ROWS]
                tifffile.imwrite(place / f"tile_{row}.tif", part, metadata=None)
    (folder / "pyramid.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?><root><imageset tileWidth="6" tileHeight="4"/>'
        "<metadata><pixelsize><x>1.5e-7</x><y>1.5e-7</y></pixelsize></metadata></root>"
    )
    channel = f"<Channel><Guid>{url_guid or guid}</Guid></Channel>"
    (folder.parents[1] / "MultiChannelParams.xml").write_text(f"<M>{channel}</M>")
    project(
        root,
        '<anyType i:type="ImagePyramidLayer"><StagePosition xmlns:b="urn:b"><b:x>6e-3</b:x>'
        "<b:y>-2.5e-2</b:y></StagePosition><NewChannelDefinitions><ChannelDefinition>"
        f"<guid>{guid}</guid></ChannelDefinition></NewChannelDefinitions></anyType>",
    )


def test_pyramid(tmp_path):
    pyramid(tmp_path)
    image = open_image(tmp_path)
    np.testing.assert_array_equal(np.asarray(image.data), expected((4, 6))[:7])
    assert image.scale == pytest.approx((0.15, 0.15))
    assert image.stage.position[1:] == pytest.approx((-25000.0, 6000.0))


def test_levels_of_a_pyramid(tmp_path):
    pyramid(tmp_path)
    folder = tmp_path / "LayersData" / "overview" / "T000-Z000-CH0" / "data"
    shutil.rmtree(folder / "l_1")
    full = np.asarray(open_image(tmp_path).data)
    for level, step in ((1, 2), (2, 4)):
        place = folder / f"l_{level}" / "c_0"
        place.mkdir(parents=True)
        small = full[::step, ::step]
        tifffile.imwrite(place / "tile_0.tif", small[:, : 6 * step], metadata=None)
    images = open_images(tmp_path)
    assert len(images) == 1
    assert [level.shape for level in images[0].levels] == [(7, 18), (4, 9), (2, 5)]
    np.testing.assert_array_equal(np.asarray(images[0].levels[1]), full[::2, ::2])
    np.testing.assert_array_equal(np.asarray(images[0].levels[2]), full[::4, ::4])


def test_pyramid_of_an_unknown_channel_has_no_place(tmp_path):
    pyramid(tmp_path, url_guid="other")
    assert open_image(tmp_path).stage is None


def test_nothing_outside_the_folder_is_opened(tmp_path):
    root = tmp_path / "project"
    secret = mosaic(tmp_path / "secret")
    (root / "LayersData").mkdir(parents=True)
    project(root)
    (root / "LayersData" / "out").symlink_to(secret)
    with pytest.raises(ReadError, match="without tiles"):
        open_image(root)
    folder = root / "LayersData" / "in"
    folder.mkdir()
    (folder / "Tile_001-001-0.tif").symlink_to(next(secret.iterdir()))
    with pytest.raises(ReadError, match="without tiles"):
        open_image(root)


def test_far_numbers_are_no_huge_image(tmp_path):
    folder = mosaic(tmp_path)
    tifffile.imwrite(folder / "Tile_900000-900000-000000_0-000.tif", tile(0, 0))
    project(tmp_path)
    with pytest.raises(ReadError, match="cannot be"):
        open_image(tmp_path)


def test_entities(tmp_path):
    mosaic(tmp_path)
    (tmp_path / "MapsProject.xml").write_text('<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>')
    with pytest.raises(ReadError, match="entities"):
        open_image(tmp_path)


def test_broken_tile_is_told(tmp_path):
    folder = mosaic(tmp_path)
    project(tmp_path)
    image = open_image(tmp_path)
    (folder / "Tile_001-002-000000_0-000.tif").write_bytes(b"II*\0")
    with pytest.raises(ReadError):
        np.asarray(image.data)
