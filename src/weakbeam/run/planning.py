"""What to know before a beamtime, on one page."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weakbeam.assemble import Resolved, Setup, assemble_all, resolve
from weakbeam.assemble.instrument import accepted_angles, lens_of
from weakbeam.core.arrays import Floats
from weakbeam.core.html import table_html
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment, Scan
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.instrument.objective import sharpness
from weakbeam.run.acquisition import Acquisition, acquisitions_of
from weakbeam.run.figures import perfect_curve, reflection_heading
from weakbeam.run.frames import perfect_intensity
from weakbeam.run.labelled import LabelledArray
from weakbeam.run.pictures import montage, picture_html, quantity_of, view_of
from weakbeam.run.reflection_rows import ReflectionRow, reflection_rows, validity_notes
from weakbeam.run.reflection_search import find_reflections
from weakbeam.run.simulate import simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS = (1.0, 0.5, 0.1, 0.01)
"""Intensities of the perfect crystal, relative to its peak, at which images are predicted."""

_BYTES = 2.0
"""Of a pixel of a camera."""

_TABLED_DISLOCATIONS = 4


@dataclass(frozen=True)
class Timing:
    """How long the motors and the camera take beside the exposure.

    Parameters
    ----------
    readout_s : float
        Between two frames of a row, while the fastest motor moves on.
    row_s : float
        Between two rows, while slower motors move.
    reflection_s : float
        From one reflection to the next.
    """

    readout_s: float = 0.01
    row_s: float = 1.0
    reflection_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("readout_s", "row_s", "reflection_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise InputError(name, value, "must be a time of 0 s or more")


@dataclass(frozen=True)
class Section:
    """Lines of the page under a heading.

    Parameters
    ----------
    heading : str
        What they are about.
    rows : tuple of (str, str)
        Quantity and value; a quantity without name continues the one above.
    """

    heading: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class PlanningSheet:
    """One page for a beamtime.

    Parameters
    ----------
    title : str
        Crystal, reflection and energy.
    sections : tuple of Section
        What to set, what to expect, and whether the theory holds.
    images : mapping of str to LabelledArray
        Predicted frames by their settings.
    curve : (ndarray, ndarray, str)
        Offsets of the fastest motor, intensity of the perfect crystal there, and label.
    settings : ndarray
        Offsets of that motor at which the frames are predicted.
    """

    title: str
    sections: tuple[Section, ...]
    images: dict[str, LabelledArray]
    curve: tuple[Floats, Floats, str]
    settings: Floats

    def figure(self) -> Figure:
        """The page, A4."""
        from weakbeam.plot.planning import planning_figure

        first = next(iter(self.images.values()))
        return planning_figure(
            self.title,
            [(section.heading, section.rows) for section in self.sections],
            {name: image.values for name, image in self.images.items()},
            view_of(first),
            quantity_of(first),
            self.curve,
            self.settings,
        )

    def to_html(self) -> str:
        """The page for a browser, complete in itself."""
        from weakbeam.plot.scan_curves import curves_figure

        tables = "".join(
            f"<section><h2>{escape(section.heading)}</h2>{table_html(section.rows)}</section>"
            for section in self.sections
        )
        offsets, light, label = self.curve
        curve = curves_figure(offsets, {"perfect crystal": light}, axis_label=label)
        pictures = picture_html(montage(self.images)) + picture_html(curve)
        return _PAGE.format(title=escape(self.title), tables=tables, pictures=pictures)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the page as .pdf, .png, .svg or .html.

        Raises
        ------
        InputError
            If the file is there and may not be replaced, cannot be written, or has another ending.
        RunError
            If the disk is full.
        """
        from weakbeam.io.targets import PAGE, claim, place_bytes
        from weakbeam.plot.style import save

        suffix = Path(path).suffix.lower()
        if suffix == ".html":
            place_bytes(claim(path, PAGE, overwrite=overwrite), self.to_html().encode())
        elif suffix in (".pdf", ".png", ".svg"):
            save(self.figure(), path, overwrite=overwrite)
        else:
            raise InputError("output", str(path), "must end in .pdf, .png, .svg or .html")

    def __str__(self) -> str:
        width = max(len(name) for section in self.sections for name, _ in section.rows)
        lines = [self.title]
        for section in self.sections:
            lines += ["", section.heading]
            lines += [f"  {name:<{width}}  {value}".rstrip() for name, value in section.rows]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<PlanningSheet {self.title}: {', '.join(s.heading for s in self.sections)}>"

    def _repr_html_(self) -> str:
        return self.to_html()


def plan(
    experiment: Experiment, timing: Timing | None = None, workers: int | None = None
) -> PlanningSheet:
    """Put together what to know before an experiment is done.

    Parameters
    ----------
    experiment : Experiment
        What is planned: crystal, reflections, instrument, camera with its exposure, scan. Its
        defects are those that are hoped for.
    timing : Timing, optional
        How long motors and camera take beside the exposure.
    workers : int, optional
        Threads.

    Returns
    -------
    PlanningSheet
        Angles, visibility of the dislocations, optics, counts, frames, time and disk of the scans,
        where kinematical theory holds, and predicted images.

    Raises
    ------
    InputError
        If the experiment contradicts physics.

    Examples
    --------
    >>> import weakbeam as wb
    >>> small = wb.Experiment().replace(camera={"pixels": (20, 60)})
    >>> sheet = wb.plan(small)
    >>> sheet.sections[0].heading
    'Reflection'
    """
    timing = timing or Timing()
    resolved = resolve(experiment)
    setups = assemble_all(resolved)
    rows = reflection_rows(setups)
    acquisitions = acquisitions_of(setups)
    chosen = _chosen(acquisitions[0])
    images = _predicted(resolved, acquisitions[0], chosen, workers)
    sections = [
        _reflections(rows),
        _visibility(experiment, rows),
        _instrument(experiment, setups[0]),
        _counts(experiment, setups[0], images),
        _scans(experiment, acquisitions, timing),
        _validity(setups, rows),
    ]
    title = reflection_heading(resolved.experiment, setups[0])
    if len(setups) > 1:
        title += f" and {len(setups) - 1} more"
    motor, offsets, light = perfect_curve(acquisitions[0], chosen[0])
    curve = MOTORS[motor].shown(offsets), light, MOTORS[motor].label
    settings = MOTORS[motor].shown(acquisitions[0].angle_offsets[chosen, ANGLES.index(motor)])
    return PlanningSheet(title, tuple(s for s in sections if s.rows), images, curve, settings)


def _reflections(rows: Sequence[ReflectionRow]) -> Section:
    lines = []
    for row in rows:
        angles = [("θ", row.theta), ("2θ", 2 * row.theta), ("η", row.eta)]
        angles += [(MOTORS[n].symbol, getattr(row, n)) for n in ("mu", "omega", "chi", "phi")]
        text = ", ".join(f"{name} {math.degrees(x):.4f}°" for name, x in angles if x or name == "θ")
        lines.append((_indices(row.hkl), text))
        if not math.isnan(row.structure_factor):
            strength = (
                f"|F| {row.structure_factor:.1f} e, extinction length "
                f"{row.extinction_length:.3g} µm, takes {row.peak_loss:.2%} of the beam per µm"
            )
            lines.append(("", strength))
    return Section("Reflection" if len(rows) == 1 else "Reflections", tuple(lines))


def _visibility(experiment: Experiment, rows: Sequence[ReflectionRow]) -> Section:
    """g·b and visibility of the straight dislocations in each reflection."""
    largest = math.degrees(max(row.theta for row in rows))
    table = find_reflections(
        experiment, geometry="symmetric", theta_max_deg=min(largest + 0.1, 44.9)
    )
    known = {tuple(record["hkl"]): record for record in table}
    lines = []
    for row in rows:
        record = known.get(tuple(row.hkl))
        if record is None:
            continue
        count = sum(1 for name in record if name.startswith("g_dot_b_") and "cross" not in name)
        for number in range(min(count, _TABLED_DISLOCATIONS)):
            seen = 1e6 * record[f"visibility_{number}"]
            text = f"g·b {record[f'g_dot_b_{number}']:.3g}, rms |δq| at 1 µm {seen:.2f} · 10⁻⁶"
            lines.append((f"{_indices(row.hkl)}, dislocation {number}", text))
        if count > _TABLED_DISLOCATIONS:
            lines.append(("", f"and {count - _TABLED_DISLOCATIONS} more: weakbeam reflections"))
    return Section("Dislocations", tuple(lines))


def _instrument(experiment: Experiment, setup: Setup) -> Section:
    camera, beam = experiment.camera, experiment.beam
    rows, columns = camera.pixels
    pixel = 1e3 * camera.pixel_um
    fwhm, aperture = accepted_angles(experiment)
    cut = f", cut at ±{aperture:.3g} mrad" if math.isfinite(aperture) else ""
    lines = [
        ("energy", f"{beam.energy_keV:g} keV, bandwidth {beam.total_bandwidth_rms:.2g} rms"),
        ("sheet of light", f"{beam.height_fwhm_um:g} µm high (FWHM)"),
        ("pixel", f"{pixel:.4g} nm in the object plane"),
        (
            "field of view",
            f"{1e-3 * rows * pixel:.3g} × {1e-3 * columns * pixel:.3g} µm in that plane",
        ),
        ("acceptance of the lens", f"{fwhm:.3g} mrad FWHM{cut}"),
    ]
    lens = lens_of(experiment)
    if lens is not None:
        lines.append(
            ("magnification", f"{lens.magnification:.4g}, lens {1e-6 * lens.distance:.4g} m away")
        )
    resolution, depth = sharpness(beam.energy_keV, 1e-3 * fwhm)
    stop = experiment.objective.stop
    without = "" if stop is None else ", without the stop"
    lines += [
        ("resolution", f"{1e3 * resolution:.0f} nm FWHM by diffraction{without}"),
        ("depth of field", f"{depth:.3g} µm{without}"),
    ]
    if stop is not None:
        keys = ", ".join(f"{k} {v}" for k, v in stop.model_dump(exclude={"kind"}).items())
        lines.append(("stop", f"{stop.kind.replace('_', ' ')}: {keys}"))
    widths = np.sqrt(np.diag(np.linalg.inv(_curvature(setup))))
    text = ", ".join(
        f"{MOTORS[name].symbol} {1e3 * width:.3g}"
        for name, width in zip(ANGLES, widths, strict=True)
        if math.isfinite(width) and width < 1.0
    )
    lines.append(("curves of a perfect crystal", f"{text} mrad rms, other motors at rest"))
    return Section("Instrument", tuple(lines))


def _curvature(setup: Setup) -> Floats:
    """Inverse covariance of the acceptance over one motor at a time, as a diagonal matrix."""
    vectors = setup.geometry.motor_vectors
    inverse = np.linalg.inv(setup.acceptance.covariance())
    return np.diag([vector @ inverse @ vector for vector in vectors])


def _counts(experiment: Experiment, setup: Setup, images: dict[str, LabelledArray]) -> Section:
    detector, model = setup.detector, setup.detector.model
    lines = []
    if model is None:
        lines.append(("camera", "none described: intensities over the perfect crystal's peak"))
    else:
        peak = detector.unit_signal
        dark = float(detector.dark.mean())
        lines += [
            ("exposure", f"{detector.exposure:g} s"),
            ("perfect crystal at its peak", f"{peak:.4g} counts over {dark:.4g} of dark level"),
        ]
        if peak + dark > model.full_well:
            most = detector.exposure * (model.full_well - dark) / peak
            lines.append(("", f"saturated, beyond {model.full_well}: at most {most:.3g} s there"))
    for name, image in images.items():
        values = np.asarray(image.values, float)
        lines.append(
            (name, f"median {np.nanmedian(values):.4g}, brightest {np.nanmax(values):.4g}")
        )
    return Section("Counts" if model is not None else "Intensities", tuple(lines))


def _scans(experiment: Experiment, acquisitions: Sequence[Acquisition], timing: Timing) -> Section:
    exposure = experiment.camera.exposure_s
    lines: list[tuple[str, str]] = []
    frames, seconds = 0, 0.0
    for acquisition in acquisitions:
        scan = acquisition.scan
        fast = scan.shape[-1] if scan.shape else 1
        rows = scan.frames // max(fast, 1)
        time = scan.frames * (exposure + timing.readout_s) + rows * timing.row_s
        frames, seconds = frames + scan.frames, seconds + time
        if acquisition.setup is acquisitions[0].setup:
            lines += _axes(acquisition, exposure + timing.readout_s)
    reflections = len({id(acquisition.setup) for acquisition in acquisitions})
    seconds += (reflections - 1) * timing.reflection_s
    pixels = math.prod(acquisitions[0].setup.detector.readout.shape)
    scans = f" in {len(acquisitions)} scans" if len(acquisitions) > 1 else ""
    spent = [f"{exposure:g} s a frame", f"{timing.readout_s:g} s to the next"]
    spent.append(f"{timing.row_s:g} s between rows")
    if reflections > 1:
        spent.append(f"{timing.reflection_s:g} s between reflections")
    lines += [
        ("frames", f"{frames}{scans}"),
        ("time", f"{_duration(seconds)}: {', '.join(spent)}"),
        ("disk", f"{_size(frames * pixels * _BYTES)} of 16-bit frames, not compressed"),
    ]
    return Section("Scan", tuple(lines))


def _axes(acquisition: Acquisition, per_frame: float) -> Iterator[tuple[str, str]]:
    """Range, steps and speed of every motor that moves."""
    scan = acquisition.scan
    if not scan.moving:
        yield "motors", "one frame; nothing moves"
    for number, name in enumerate(scan.moving):
        motor, positions = MOTORS[name], scan.positions[name]
        low, high = motor.shown(positions.min()), motor.shown(positions.max())
        step = float(motor.shown(np.ptp(positions))) / max(len(positions) - 1, 1)
        text = f"{low:.4g} to {high:.4g} {motor.shown_unit}"
        text += f", {len(positions)} positions {step:.3g} apart"
        if number == len(scan.moving) - 1:
            stored = float(motor.stored(np.ptp(positions))) / max(len(positions) - 1, 1)
            unit = "°/s" if motor.is_angle else "mm/s"
            text += f", {stored / per_frame:.2g} {unit} if it moves on"
        yield motor.offset_symbol, text
    if scan.phi_per_two_theta:
        yield "φ", f"follows the arm by {scan.phi_per_two_theta:.4f}"


def _validity(setups: Sequence[Setup], rows: Sequence[ReflectionRow]) -> Section:
    lines = [("kinematical theory", note) for note in validity_notes(setups)]
    for row in rows:
        if len(rows) > 1 and not math.isnan(row.kinematical_from):
            text = f"to 5 % from {1e3 * row.kinematical_from:.3g} mrad off the peak on"
            lines.append((_indices(row.hkl), text))
    return Section("Validity", tuple(lines))


def _chosen(acquisition: Acquisition) -> list[int]:
    """Frames at which the perfect crystal is bright, on its flank, and dark."""
    offsets = acquisition.angle_offsets
    light = np.asarray(perfect_intensity(acquisition.setup, offsets), float)
    # Along the fastest motor the slower ones where they are closest to 0.
    fast = ANGLES.index((acquisition.moving_angles or ["phi"])[-1])
    rest = np.abs(np.delete(offsets, fast, axis=1)).sum(axis=1)
    z = np.abs(acquisition.scan.motor_positions("z"))
    row = (rest <= rest.min() + 1e-12) & (z <= z.min() + 1e-9)
    levels = _LEVELS if np.count_nonzero(row) > 1 else _LEVELS[:1]
    # Of two flanks that are as bright, the upper one.
    lower = 1e-3 * (offsets[:, fast] < 0.0)
    away = [np.abs(np.log(np.maximum(light, 1e-12) / level)) + lower for level in levels]
    return list(dict.fromkeys(int(np.argmin(np.where(row, x, np.inf))) for x in away))


def _predicted(
    resolved: Resolved, acquisition: Acquisition, chosen: Sequence[int], workers: int | None
) -> dict[str, LabelledArray]:
    """Frames by their settings."""
    images = {}
    base = resolved.experiment.replace(reflection=resolved.reflections[0].reflection)
    for k in chosen:
        at = {name: acquisition.scan.motor_positions(name)[k] for name in (*ANGLES, "z")}
        shown = {name: float(MOTORS[name].shown(value)) for name, value in at.items()}
        keys: dict[str, Any] = {
            name: {f"value_{'um' if name == 'z' else 'mrad'}": value}
            for name, value in shown.items()
        }
        texts = [
            f"{MOTORS[name].offset_symbol} {value:.4g} {MOTORS[name].shown_unit}"
            for name, value in shown.items()
            if value
        ]
        image = simulate(base.replace(scan=Scan(**keys)), workers).images
        images[", ".join(texts) or "at the peak"] = image
    return images


def _indices(hkl: Sequence[int]) -> str:
    return f"({' '.join(map(str, hkl))})"


def _duration(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000.0:
            return f"{size:.3g} {unit}"
        size /= 1000.0
    return f"{size:.3g} TB"


_PAGE = """<!doctype html>
<!-- weakbeam -->
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.4 sans-serif; max-width: 1000px; margin: 1em auto; color: #222; }}
h2 {{ font-size: 15px; margin: 0.8em 0 0.2em; }}
th {{ font-weight: normal; color: #555; padding-right: 1em; vertical-align: top; }}
</style></head>
<body><h1>{title}</h1>{tables}{pictures}</body></html>
"""
