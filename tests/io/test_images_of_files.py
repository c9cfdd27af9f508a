"""Images from files of several kinds."""

import h5py
import numpy as np
import pytest
from PIL import Image

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.io.images import read_images
from weakbeam.run.record import record

FRAMES = np.arange(3 * 6 * 8, dtype=np.uint16).reshape(3, 6, 8)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    experiment = Experiment().with_settings(
        [
            "camera.pixels=[10, 14]",
            "camera.pixel_nm=80",
            "scan.phi.values_mrad=[-0.15, 0.15]",
            "scan.chi.value_mrad=0.2",
            "output.figures=false",
        ]
    )
    return experiment, record(experiment, tmp_path_factory.mktemp("run")).file


def test_our_files_tell_everything(simulated):
    experiment, file = simulated
    stack = read_images(str(file))
    assert stack.frames.shape == (2, 10, 14)
    for offsets, phi in zip(stack.offsets, (-1.5e-4, 1.5e-4), strict=True):
        expected = {"phi": phi, "chi": 2e-4, "two_theta": 0.0, "z": 0.0}
        assert offsets == pytest.approx(expected, abs=1e-9)
    assert (stack.pixel_um, stack.energy_kev, stack.hkl) == (0.08, 17.0, (-1, 1, -1))
    assert Experiment.from_toml_text(stack.configuration) == experiment


def test_entries_and_frames_are_named(simulated):
    _, file = simulated
    whole = read_images(f"{file}::1.1")
    one = read_images(f"{file}::1#1")
    np.testing.assert_array_equal(one.frames, whole.frames[1:])
    assert one.offsets == whole.offsets[1:]
    with pytest.raises(InputError, match="has frames 0 to 1"):
        read_images(f"{file}#2")
    with pytest.raises(InputError, match=r"has the entries 1\.1"):
        read_images(f"{file}::7.1")


def test_other_entries_are_known_where_none_is_named(tmp_path):
    motors = ["scan.phi.values_mrad=[0.1,0.2]", "scan.chi.values_mrad=[0.0,0.1]"]
    motors += ["scan.z.values_um=[0,1,2]"]
    experiment = Experiment().with_settings(
        [*motors, "camera.pixels=[6, 8]", "output.figures=false"]
    )
    file = record(experiment, tmp_path).file
    stack = read_images(str(file))
    assert (stack.entry, stack.other_entries) == ("1.1", ("2.1", "3.1"))
    assert read_images(f"{file}::2.1").other_entries == ()


def test_datasets_of_any_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["scan/data"] = FRAMES
        file["scan/line"] = np.arange(4)
    stack = read_images(f"{tmp_path}/some.h5::scan/data#2")
    np.testing.assert_array_equal(stack.frames, FRAMES[2:])
    assert stack.offsets == ({},)
    assert stack.pixel_um is None
    with pytest.raises(InputError, match="is no image or stack of images"):
        read_images(f"{tmp_path}/some.h5::scan/line")
    with pytest.raises(InputError, match="has frames 0 to 2"):
        read_images(f"{tmp_path}/some.h5::scan/data#3")
    for mistaken in ("some.h5", "some.h5::scan", "some.h5::1.1"):
        with pytest.raises(InputError, match=r"name a dataset: \S*some\.h5::scan/data$"):
            read_images(f"{tmp_path}/{mistaken}")


def test_npy_and_tiff(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES.astype(np.float32))
    np.testing.assert_array_equal(read_images(f"{tmp_path}/a.npy").frames, FRAMES)
    pages = [Image.fromarray(frame) for frame in FRAMES]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    found = read_images(f"{tmp_path}/b.tif#1")
    np.testing.assert_array_equal(found.frames, FRAMES[1:2])
    assert found.source.endswith("b.tif#1")
    Image.fromarray(FRAMES[0].astype(np.float32)).save(tmp_path / "c.tiff")
    np.testing.assert_array_equal(read_images(f"{tmp_path}/c.tiff").frames[0], FRAMES[0])


def test_edf(tmp_path):
    fabio = pytest.importorskip("fabio")
    # As cameras of the ESRF write them: with the motors, and several frames to a file.
    header = {"motor_mne": "obpitch phi chi", "motor_pos": "17.9 -8.97 0", "count_time": "0.5"}
    file = fabio.edfimage.EdfImage(data=FRAMES[0], header=header)
    for frame in FRAMES[1:]:
        file.append_frame(data=frame)
    file.write(str(tmp_path / "a.edf"))
    np.testing.assert_array_equal(read_images(f"{tmp_path}/a.edf").frames, FRAMES)
    np.testing.assert_array_equal(read_images(f"{tmp_path}/a.edf#1").frames, FRAMES[1:2])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.h5", None, "there is no such file"),
        ("a.npy", b"nonsense", "no readable npy"),
        ("a.tif", b"nonsense", "no readable TIFF"),
        ("a.edf", b"nonsense", "fabio"),
        ("a.h5", b"nonsense", "no readable HDF5"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_images(str(tmp_path / name))
