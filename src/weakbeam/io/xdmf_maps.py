"""XDMF beside a file of maps, with which ParaView and VTK open them as one image."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from weakbeam.io.maps_file import StoredMaps


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
    if stored.image_axes is None:
        raise ValueError("maps in pixels of a camera have no places in the sample")
    y, x = (axis.values_um for axis in stored.image_axes)
    step = [float(v[1] - v[0]) if len(v) > 1 else 1.0 for v in (y, x)]
    rows, columns = len(y), len(x)
    scalars = "\n".join(
        f'   <Attribute Name={quoteattr(name)} AttributeType="Scalar" Center="Node">\n'
        f'    <DataItem Format="HDF" NumberType="Float" Precision="8" '
        f'Dimensions="1 {rows} {columns}">'
        f"{escape(f'{file}:/{entry}/maps/{name}/{name}')}</DataItem>\n"
        "   </Attribute>"
        for name in stored.maps
    )
    return f"""<?xml version="1.0"?>
<!-- weakbeam: maps of {escape(stored.title)} -->
<Xdmf Version="3.0">
 <Domain>
  <Grid Name="distortion" GridType="Uniform">
   <Topology TopologyType="3DCoRectMesh" Dimensions="1 {rows} {columns}"/>
   <Geometry GeometryType="ORIGIN_DXDYDZ">
    <DataItem Format="XML" Dimensions="3">0 {float(y[0])!r} {float(x[0])!r}</DataItem>
    <DataItem Format="XML" Dimensions="3">1 {step[0]!r} {step[1]!r}</DataItem>
   </Geometry>
{scalars}
  </Grid>
 </Domain>
</Xdmf>
"""
