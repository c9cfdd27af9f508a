"""XDMF beside a file of maps, with which ParaView and VTK open them as one image or volume."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.maps_file import STACK, StoredMaps, stacked_maps


def xdmf_text(stored: StoredMaps, file: str, entry: str) -> str:
    """Describe maps of evenly spaced places.

    Parameters
    ----------
    stored : StoredMaps
        The maps, with axes y and x of the sample.
    file : str
        Name of the HDF5 file, as seen from the folder of the text.
    entry : str
        Name of its entry.

    Returns
    -------
    str
        XDMF 3: a grid of one layer, x along the columns, with every map as a scalar.

    Raises
    ------
    ValueError
        If the maps have no axes in the sample.
    """
    places = {name: f"/{entry}/maps/{name}/{name}" for name in stored.maps}
    return _text(stored, stored.title, file, places, np.zeros(1))


def xdmf_of_layers(layers: Mapping[str, StoredMaps], heights: Floats, file: str) -> str:
    """Describe the maps of several layers, as :func:`weakbeam.io.maps_file.write_layers` has them.

    Parameters
    ----------
    layers : mapping of str to StoredMaps
        Maps of each layer, the lowest first, on the same evenly spaced places.
    heights : (layers,) ndarray
        Where they are (µm), evenly spaced or not.
    file : str
        Name of the HDF5 file, as seen from the folder of the text.

    Returns
    -------
    str
        XDMF 3: a grid of points in three dimensions.

    Raises
    ------
    ValueError
        If the maps have no axes in the sample.
    """
    places = {name: f"/{STACK}/maps_of_layers/{name}/{name}" for name in stacked_maps(layers)}
    first, z = next(iter(layers.values())), np.asarray(heights, dtype=np.float64)
    return _text(first, f"{len(layers)} layers", file, places, z)


def _text(stored: StoredMaps, title: str, file: str, places: Mapping[str, str], z: Floats) -> str:
    if stored.image_axes is None:
        raise ValueError("maps in pixels of a camera have no places in the sample")
    y, x = (axis.values_um for axis in stored.image_axes)
    size = f"{len(z)} {len(y)} {len(x)}"
    scalars = "\n".join(
        f'   <Attribute Name={quoteattr(name)} AttributeType="Scalar" Center="Node">\n'
        f'    <DataItem Format="HDF" NumberType="Float" Precision="8" Dimensions="{size}">'
        f"{escape(f'{file}:{place}')}</DataItem>\n"
        "   </Attribute>"
        for name, place in places.items()
    )
    steps = np.diff(z)
    if len(steps) and np.ptp(steps) > 1e-6 * abs(float(steps[0])):
        mesh = _rectilinear(z, y, x, size)
    else:
        mesh = _uniform(z, y, x, size)
    return f"""<?xml version="1.0"?>
<!-- weakbeam: maps of {escape(title)} -->
<Xdmf Version="3.0">
 <Domain>
  <Grid Name="distortion" GridType="Uniform">
{mesh}
{scalars}
  </Grid>
 </Domain>
</Xdmf>
"""


def _uniform(z: Floats, y: Floats, x: Floats, size: str) -> str:
    start = " ".join(repr(float(axis[0])) for axis in (z, y, x))
    step = " ".join(repr(float(v[1] - v[0])) if len(v) > 1 else "1.0" for v in (z, y, x))
    return f"""   <Topology TopologyType="3DCoRectMesh" Dimensions="{size}"/>
   <Geometry GeometryType="ORIGIN_DXDYDZ">
    <DataItem Format="XML" Dimensions="3">{start}</DataItem>
    <DataItem Format="XML" Dimensions="3">{step}</DataItem>
   </Geometry>"""


def _rectilinear(z: Floats, y: Floats, x: Floats, size: str) -> str:
    items = "\n".join(
        f'    <DataItem Format="XML" NumberType="Float" Precision="8" Dimensions="{len(axis)}">'
        f"{' '.join(map(repr, axis.tolist()))}</DataItem>"
        for axis in (x, y, z)
    )
    return f"""   <Topology TopologyType="3DRectMesh" Dimensions="{size}"/>
   <Geometry GeometryType="VXVYVZ">
{items}
   </Geometry>"""
