"""Leica files put together block by block: .lif, .lof and .xlef with its .xlif."""

from __future__ import annotations

import struct
from xml.sax.saxutils import quoteattr

import numpy as np

DIM = {"x": 1, "y": 2, "z": 3, "t": 4, "m": 10}
SETTING = {
    "StagePosX": "0.001",
    "StagePosY": "0.002",
    "ZPosition": "3e-6",
    "FlipX": "0",
    "FlipY": "0",
    "SwapXY": "0",
    "RotatorAngle": "0",
    "ObjectiveName": "HC PL APO 63x",
    "NumericalAperture": "1.4",
}


def dimensions(shape, axes, step, itemsize):
    """Dimension tags of an image stored in order, channels between frames."""
    strides = {}
    stride = itemsize
    for axis, size in zip(reversed(axes), reversed(shape), strict=True):
        strides[axis] = stride
        stride *= size
    tags = []
    for axis, size in zip(axes, shape, strict=True):
        if axis == "c":
            continue
        length = step.get(axis, 1.0) * (size - 1)
        unit = "s" if axis == "t" else "m"
        tags.append(
            f'<DimensionDescription DimID="{DIM[axis]}" NumberOfElements="{size}" Origin="1e-6" '
            f'Length="{length}" Unit="{unit}" BitInc="0" BytesInc="{strides[axis]}"/>'
        )
    return "".join(tags), strides.get("c", 0)


def image_xml(
    data, axes, step, tables=("Green",), setting=None, block="MemBlock_1", extra="", tags="000"
):
    """The ``<Data><Image>`` and ``<Memory>`` of one image."""
    dims, channel_step = dimensions(data.shape, axes, step, data.dtype.itemsize)
    bits = data.dtype.itemsize * 8
    channels = "".join(
        f'<ChannelDescription DataType="{int(data.dtype.kind == "f")}" ChannelTag="{tags[i]}" '
        f'Resolution="{bits}" NameOfMeasuredQuantity="" Min="0" Max="255" Unit="" '
        f'LUTName="{table}" IsLUTInverted="0" BytesInc="{i * channel_step}" BitInc="0"/>'
        for i, table in enumerate(tables)
    )
    attributes = " ".join(f"{k}={quoteattr(v)}" for k, v in (setting or SETTING).items())
    return (
        f"<Data><Image><ImageDescription><Channels>{channels}</Channels><Dimensions>{dims}"
        "</Dimensions></ImageDescription><Attachment Name='HardwareSetting'>"
        f"<ATLConfocalSettingDefinition {attributes}>{extra}</ATLConfocalSettingDefinition>"
        f"</Attachment></Image></Data><Memory Size='{data.nbytes}' MemoryBlockID='{block}'/>"
    )


def header(inner, name="project"):
    return (
        f'<LMSDataContainerHeader Version="2"><Element Name="{name}"><Data><Experiment/></Data>'
        f'<Memory Size="0" MemoryBlockID="MemBlock_0"/><Children>{inner}</Children></Element>'
        "</LMSDataContainerHeader>"
    )


def element(name, content):
    return f'<Element Name="{name}">{content}</Element>'


def text_block(xml):
    raw = xml.encode("utf-16-le")
    return struct.pack("<IIBI", 0x70, len(raw) + 5, 0x2A, len(raw) // 2) + raw


def lif_bytes(xml, blocks):
    """A .lif of version 2: its XML, then the memory blocks by name."""
    found = text_block(xml)
    for name, data in blocks.items():
        label = name.encode("utf-16-le")
        found += struct.pack("<IIBQBI", 0x70, len(label) + 14, 0x2A, len(data), 0x2A, len(name))
        found += label + data
    return found


def one_image(data, axes, step, **options):
    """A .lif of one image."""
    inner = element("cell", image_xml(data, axes, step, **options))
    return lif_bytes(header(inner), {"MemBlock_1": np.ascontiguousarray(data).tobytes()})


def lof_bytes(data, axes, step, **options):
    """A .lof of one image."""
    raw = np.ascontiguousarray(data).tobytes()
    name = "LMS_Object_File"
    start = struct.pack("<IIBI", 0x70, 2 * len(name) + 5, 0x2A, len(name))
    start += name.encode("utf-16-le") + struct.pack("<BIBI", 0x2A, 2, 0x2A, 0)
    xml = (
        '<LMSDataContainerHeader Version="2">'
        + element("cell", image_xml(data, axes, step, **options))
        + "</LMSDataContainerHeader>"
    )
    return start + struct.pack("<BQ", 0x2A, len(raw)) + raw + text_block(xml)


def write_xlef(folder, data, axes, step, file="../a.lof", **options):
    """A .xlef, its .xlif in a subfolder, and the .lof that this names."""
    (folder / "meta").mkdir(exist_ok=True)
    (folder / "a.lof").write_bytes(lof_bytes(data, axes, step, **options))
    content = image_xml(data, axes, step, **options).partition("<Memory")[0]
    memory = (
        f'<Memory Size="{data.nbytes}" MemoryBlockID="MemBlock_1"><Block File="{file}" '
        f'Offset="0" Size="{data.nbytes}"/></Memory>'
    )
    xlif = (
        '<?xml version="1.0" encoding="utf-8"?>\n<LMSDataContainerHeader Version="2">'
        + element("cell", content + memory)
        + "</LMSDataContainerHeader>"
    )
    (folder / "meta" / "cell.xlif").write_text(xlif, encoding="utf-8")
    xlef = header('<Reference File="meta/cell.xlif"/>')
    path = folder / "a.xlef"
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{xlef}', encoding="utf-8")
    return path
