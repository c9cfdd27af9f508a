"""The dataset for torch that the documentation shows."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.identify.library.training import plan_training
from weakbeam.identify.library.training_files import record_training
from weakbeam.identify.library.twins import classes_of

PAGE = Path(__file__).parents[3] / "docs/how-to/identify-library.md"
SETTINGS = [
    "camera.pixels=[10, 14]",
    "camera.model=pco_edge",
    "scan.phi.value_mrad=0.15",
    "identify.mode=multi",
    "identify.images=12",
    "identify.fewest_dislocations=1",
    "identify.characters_deg=[0, 90]",
    "identify.split=[0.5, 0.3, 0.2]",
    "output.figures=false",
]


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    experiment = wb.Experiment().with_settings(SETTINGS)
    folder = tmp_path_factory.mktemp("training")
    return plan_training(experiment, 1), record_training(experiment, folder, workers=1).file


def shown_class():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    return names["Dislocations"]


def assert_holds(dataset, plan, part, numpy_of):
    numbers = np.flatnonzero(plan.parts == part)
    classes = classes_of(plan.candidates, plan.variation)
    assert len(dataset) == len(numbers) > 0
    for index, number in enumerate(numbers.tolist()):
        image, mask, kinds = dataset[index]
        made = plan.make(number)
        np.testing.assert_array_equal(numpy_of(image), made.frames)
        np.testing.assert_array_equal(numpy_of(mask), made.masks[0])
        count = len(made.drawn.types)
        assert kinds[:count].tolist() == classes[made.drawn.types].tolist()
        assert (kinds[count:] == -1).all()


def test_without_torch_reads_what_was_made(training, monkeypatch):
    """With a stand-in for the two names of torch that it uses."""
    data = SimpleNamespace(Dataset=object)
    stand_in = SimpleNamespace(utils=SimpleNamespace(data=data), from_numpy=lambda array: array)
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    plan, file = training
    for part in (0, 1):
        assert_holds(shown_class()(file, part), plan, part, np.asarray)


def test_with_torch(training):
    torch = pytest.importorskip("torch")
    plan, file = training
    dataset = shown_class()(file, 1)
    assert_holds(dataset, plan, 1, lambda tensor: tensor.numpy())
    loaded = torch.utils.data.DataLoader(dataset, batch_size=2)
    assert sum(len(images) for images, _, _ in loaded) == len(dataset)
