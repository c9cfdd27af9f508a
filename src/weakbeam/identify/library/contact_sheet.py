"""A training set at a glance: its first images with their labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.identify.library.training import TrainingPlan, TrainingSample
from weakbeam.plot.drawing import Drawing
from weakbeam.run.figures import image_view

CONTACT_SHEET = "contact-sheet"
"""Name of the picture, without its suffix."""

MOST_SHOWN = 12
"""Images on it at most."""


def contact_sheet(plan: TrainingPlan, samples: Sequence[TrainingSample]) -> Drawing:
    """Describe the picture of some images, under the first condition, with masks and lines.

    Parameters
    ----------
    plan : TrainingPlan
        What made them.
    samples : sequence of TrainingSample
        The images, at least one.
    """
    renderer = plan.candidates.renderer
    setup = renderer.setups[renderer.conditions[0].reflection]
    counted = plan.dtype.kind == "u"
    title = f"the first {len(samples)} of {len(plan)} images"
    if "pixel_nm" in plan.variation.ranges:
        size = 1e3 * renderer.experiment.camera.pixel_um
        title += f"; their pixels differ, the axes hold for {size:g} nm"
    return Drawing(
        "weakbeam.plot.contact_sheet.contact_sheet_figure",
        (
            np.stack([sample.frames[0] for sample in samples]),
            np.stack([sample.masks[0] for sample in samples]),
            [sample.labels.ends[0] for sample in samples],
            image_view(setup),
        ),
        {
            "labels": [f"image {sample.number}" for sample in samples],
            "label": "counts (ADU)" if counted else "intensity",
            "title": title,
        },
    )
