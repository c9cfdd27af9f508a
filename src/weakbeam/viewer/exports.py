"""What leaves a session: files of the experiment, pictures, a link, a run."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, get_args

import numpy as np

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.python_text import python_text
from weakbeam.imaging.motors import ANGLES
from weakbeam.plot.drawing import Drawing
from weakbeam.run.figures import reflection_heading
from weakbeam.viewer import messages
from weakbeam.viewer.answers import Answer, Job, Progress
from weakbeam.viewer.bench import Bench
from weakbeam.viewer.looks import curve_range, limits
from weakbeam.viewer.messages import Message
from weakbeam.viewer.places import Folder
from weakbeam.viewer.standing import over, still
from weakbeam.viewer.state import Rule, Side, State

_WHAT = ("image", "scan", "curve")
_LARGEST_STATE = 4 * 2**20
_SCALES = ("linear", "log", "asinh")


def chosen(side: Side, message: Message) -> Experiment:
    """The experiment that leaves: of the image that is shown, of its scan, or of the curve."""
    what = messages.word(message, "what", _WHAT, "image")
    if what == "scan":
        return side.scan
    if what == "curve":
        return over(side.experiment, side.motors, curve_range(message))
    return still(side.experiment, side.motors)


def export(state: State, bench: Bench, side: Side, message: Message) -> Answer:
    """The experiment as TOML or Python, the image as PNG or SVG, or a link to the state."""
    kind = messages.word(message, "as", ("toml", "python", "png", "svg", "link"))
    about: dict[str, Any] = {"do": "export", "as": kind}
    if kind == "link":
        return Answer({**about, "text": link_of(state)})
    if kind in ("png", "svg"):
        picture = _figure(bench, side, message).picture(f".{kind}")
        return Answer(about, files={f"image.{kind}": picture})
    experiment = chosen(side, message)
    if kind == "toml":
        text, name = experiment.to_toml(), "experiment.toml"
    else:
        text, name = python_text(experiment), "experiment.py"
    return Answer({**about, "text": text}, files={name: text.encode()})


def _figure(bench: Bench, side: Side, message: Message) -> Drawing:
    image = bench.image(side.reflection, side.motors)
    motors = {f"{motor}_mrad": side.motors[motor] for motor in ANGLES}
    scale = messages.word(message, "scale", _SCALES, "linear")
    shown = limits(message)
    if scale == "log" and shown is not None and shown[0] <= 0.0:
        shown = None
    return Drawing(
        "weakbeam.plot.image.image_figure",
        (np.asarray(image, dtype=np.float64), bench.view(side.reflection)),
        {
            **motors,
            "title": reflection_heading(bench.experiment, bench.setups[side.reflection]),
            "intensity_label": bench.value_label(side.reflection),
            "scale": scale,
            "limits": shown,
        },
    )


def run(side: Side, folder: Folder, workers: int | None, message: Message) -> Job:
    """A job that writes a folder as ``weakbeam forward`` does."""
    experiment = chosen(side, message)
    folder.check(experiment)
    name = messages.text(message, "folder")
    path = folder.new(name)

    def work(progress: Progress) -> Answer:
        from weakbeam.assemble import resolve
        from weakbeam.run.record import record

        resolved = resolve(experiment)
        twins = 2 if experiment.output.perfect_crystal else 1
        total = experiment.scan.frames * twins * len(resolved.reflections)
        done = 0.0

        def update(frames: float) -> None:
            nonlocal done
            done += frames
            progress(min(1.0, done / total))

        result = record(resolved, path, workers=workers, progress=update)
        return Answer(
            {
                "do": "run",
                "folder": name,
                "file": f"{name}/{result.file.name}",
                "frames": result.frames,
                "notes": list(result.notes),
            }
        )

    return Job(f"simulating into {name}", work)


def link_of(state: State) -> str:
    """The state as the last part of a link."""
    content: dict[str, Any] = {"A": _content(state.first), "rule": state.rule}
    if state.second is not None:
        content["B"] = _content(state.second)
    packed = zlib.compress(json.dumps(content).encode(), 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _content(side: Side) -> dict[str, Any]:
    return {
        "toml": side.experiment.to_toml(),
        "motors": dict(side.motors),
        "reflection": side.reflection,
    }


def state_of_link(link: str, folder: Folder) -> State:
    """The state of a link, or of the part of it behind the #.

    Raises
    ------
    InputError
        If it is none.
    """
    text = link.strip().rpartition("#")[2].removeprefix("state=")
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        unpacking = zlib.decompressobj()
        content = json.loads(unpacking.decompress(packed, _LARGEST_STATE))
        first = _side(content["A"])
        second = None if content.get("B") is None else _side(content["B"])
        rule = content.get("rule")
    except (KeyError, TypeError, AttributeError, RecursionError, binascii.Error, zlib.error):
        raise InputError("link", None, "is none of a microscope's state") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError("link", None, "is none of a microscope's state") from None
    if (rule is None) != (second is None) or (rule is not None and rule not in get_args(Rule)):
        raise InputError("link", None, "is none of a microscope's state")
    for side in (first, second):
        if side is not None:
            folder.check(side.experiment)
    return State(first, second, rule)


def _side(content: Any) -> Side:
    experiment = Experiment.from_toml_text(messages.text(content, "toml"), "link")
    motors = {
        motor: messages.number(content["motors"], motor, -1e6, 1e6)
        for motor in ("phi", "chi", "two_theta", "z")
    }
    return Side(experiment, motors, messages.whole(content, "reflection", 0, 10**6))
