"""Whatever a file says, it is converted or refused."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from weakbeam.compat.conversion import convert, is_dfxm_geo
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment

NUMBERS = st.one_of(
    st.integers(-5, 600),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1e-4, 17.0, 4.05e-10]),
)
WORDS = (
    "oblique mc wall gnb random_dislocations single z-scan multi hexagonal bcc W S2 leds_eq14 "
    "custom ideal"
)
VALUES = st.one_of(
    NUMBERS,
    st.booleans(),
    st.sampled_from(["", *WORDS.split()]),
    st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    st.lists(NUMBERS, max_size=4),
)
KEYS = {
    "reciprocal": "hkl keV backend beamstop bs_height aperture knife_edge zeta_v_fwhm NA_rms "
    "eps_rms D d1 dphi_range lattice_a Nrays",
    "geometry": "mode eta omega",
    "crystal": "mode lattice a c mount_x mount_z material structure_type space_group "
    "poisson_ratio slip_families slip_plane_normal angle_step_deg b_vector_indices "
    "sweep_all_slip_planes",
    "detector": "model exposure_time Npixels",
    "detector_geometry": "pixel_size magnification Npixels Nsub object_psize",
    "io": "include_perfect_crystal write_strain_provenance",
    "multi": "n_samples",
    "zscan": "z_offsets_um",
    "reflections_auto": "eta_target",
}
BLOCKS = {
    "centered": "b n t",
    "wall": "dis ndis sample_remount",
    "random_dislocations": "ndis sigma min_distance seed",
    "gnb": "recipe theta_deg extent_um",
}
AXES = dict.fromkeys(("phi", "chi", "two_dtheta", "z"), "value range steps")


def table(names):
    return st.dictionaries(st.sampled_from(names.split()), VALUES, max_size=4)


@st.composite
def files(draw):
    data = {name: draw(table(keys)) for name, keys in KEYS.items() if draw(st.booleans())}
    for mode, keys in BLOCKS.items():
        if draw(st.integers(0, 2)) == 0:
            data.setdefault("crystal", {})[mode] = draw(st.one_of(table(keys), VALUES))
    data["scan"] = {a: draw(table(keys)) for a, keys in AXES.items() if draw(st.booleans())}
    if draw(st.integers(0, 3)) == 0:
        data[draw(st.sampled_from(["mode", "reflections", "scan", "foo"]))] = draw(VALUES)
    return data


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=files())
@example({"reciprocal": {"keV": 0}, "crystal": {"centered": {}}, "scan": {}})
def test_any_file_is_converted_or_refused(data):
    is_dfxm_geo(data)
    try:
        found = convert(data)
        experiment = found.experiment
    except InputError:
        return
    assert isinstance(experiment, Experiment)
    assert all("\n" not in line for line in found.notes.lines)
