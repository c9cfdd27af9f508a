"""The session against `simulate`: whatever was done before, a frame is that of its experiment."""

import json
import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weakbeam as wb
from weakbeam.viewer.answers import Answer, Job, pack, refusal, unpack
from weakbeam.viewer.pictures import Picture
from weakbeam.viewer.session import Session

SMALL = wb.Experiment(
    camera={"pixels": (9, 14), "pixel_nm": 80.0},
    beam={"height_fwhm_um": 0.6},
    scan={"phi": {"half_range_mrad": 0.4, "steps": 5}},
)


def upright(run):
    """The one image of a run as it is drawn: y to the right, x down the page."""
    images = run.images
    assert images.dims == ("x", "y")
    rows, columns = (np.argsort(images.coords[name]) for name in ("x", "y"))
    return images.values[np.ix_(rows, columns)]


def experiment_of(session, side):
    """What the session says it shows, through the text of its file."""
    answer = session.handle({"do": "export", "as": "toml", "side": side, "what": "image"})
    return wb.Experiment.from_toml_text(answer.about["text"])


def done(answer):
    """The answer of what is done at once."""
    if isinstance(answer, Job) and answer.at_once:
        try:
            answer = answer.work(lambda share: None)
        except wb.InputError as error:
            answer = refusal(error)
    return answer


def ask(session, do, **more):
    answer = done(session.handle({"do": do, **more}))
    assert isinstance(answer, Answer)
    return answer


def told(session, do, **more):
    answer = ask(session, do, **more)
    assert answer.about["do"] != "error", answer.about["line"]
    return answer


def line_of(session, do, **more):
    answer = ask(session, do, **more)
    assert answer.about["do"] == "error"
    assert "\n" not in answer.about["line"]
    return answer.about["line"]


SMALL_MRAD = st.floats(-1.0, 1.0).map(lambda x: round(x, 3))
SIDES = st.sampled_from(["A", "A", "A", "B"])
POSITION = st.tuples(*[st.floats(-0.6, 0.6).map(lambda x: round(x, 3))] * 3).map(list)
SETTINGS = st.sampled_from(
    [
        "beam.energy_keV=18",
        "beam.height_fwhm_um=0.3",
        "beam.bandwidth_rms=1e-4",
        "objective.stop={kind='knife_edge', position_um=20}",
        "objective.stop={kind='wire', diameter_um=60}",
        "crystal.material=Cu",
        "crystal.elasticity='anisotropic'",
        "reflection.hkl=[1, 1, -1]",
        "reflection.hkl=[1, 1, 0]",
        "camera.pixels=[7, 11]",
        "camera.rotation_deg=90",
        "camera.psf_px=0.8",
        "camera.model=pco_edge",
        "scan.phi.value_mrad=0.12",
        "defects[0].burgers=[-1, 0, 1]",
        "beam.energy_keV=-1",
        "preset=id03",
        "nonsense=1",
    ]
)
# Also steps that are much smaller than the acceptance is wide.
STEPS = st.one_of(SMALL_MRAD, st.sampled_from([0.1, 0.1005, 0.101]))
ROUGH = st.sampled_from([{}, {"rough": True}])
MESSAGES = st.one_of(
    st.builds(
        lambda side, motors, rough: {"do": "motors", "side": side, **motors, **rough},
        SIDES,
        st.dictionaries(st.sampled_from(["phi", "chi", "two_theta", "z"]), STEPS),
        ROUGH,
    ),
    st.builds(lambda side, line: {"do": "set", "side": side, "settings": [line]}, SIDES, SETTINGS),
    st.builds(
        lambda table, position: {"do": "add", "table": {**table, "position_um": position}},
        st.sampled_from(
            [
                {"kind": "dislocation", "burgers": [1, 1, 0], "line": [1, 1, 2]},
                {"kind": "loop", "burgers": [1, 0, -1], "plane": [1, 1, 1], "radius_um": 0.3},
                {"kind": "wall", "burgers": [1, 0, -1], "plane": [1, 1, 1], "spacing_um": 0.5},
            ]
        ),
        POSITION,
    ),
    st.builds(
        lambda end, rough: {"do": "place", "number": 0, "to": list(end), **rough},
        st.tuples(st.integers(0, 8), st.integers(0, 13)),
        ROUGH,
    ),
    st.builds(lambda to, rough: {"do": "stop", "to": [to, to], **rough}, SMALL_MRAD, ROUGH),
    st.just({"do": "grasp", "number": 0}),
    st.just({"do": "settle"}),
    st.just({"do": "remove", "number": 0}),
    st.sampled_from(["copy", "phi", "burgers", "stop", "perfect", "off"]).map(
        lambda rule: {"do": "second", "rule": rule}
    ),
    st.just({"do": "undo"}),
    st.just({"do": "redo"}),
)


@settings(deadline=None, max_examples=15)
@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_frames_are_those_of_simulate_after_any_changes(doing):
    session = Session(SMALL, workers=1)
    shown = dict(ask(session, "hello").pictures)
    for message in [*doing, {"do": "settle"}]:
        answer = done(session.handle(message))
        shown |= answer.pictures
        if answer.about["do"] == "frames" and "B" not in answer.about["sides"]:
            shown.pop("B", None)
    for side, picture in shown.items():
        if side in ("A", "B"):
            experiment = experiment_of(session, side)
            if experiment.camera.rotation_deg == 0:
                expected = upright(wb.simulate(experiment, workers=1))
                scale = max(1.0, float(np.abs(expected).max()))
                np.testing.assert_allclose(picture.values, expected, atol=1e-5 * scale)


def test_the_smallest_steps_show_what_simulate_makes():
    """Samples are chosen for every frame anew, however near it is to the one before."""
    session = Session(SMALL)
    for phi in (0.15, 0.1502, 0.151, 0.1505):
        shown = told(session, "motors", phi=phi).pictures["A"].values
        expected = upright(wb.simulate(experiment_of(session, "A")))
        np.testing.assert_allclose(shown, expected, atol=1e-6)
    # A curve in between, for which samples are chosen over all of its frames, changes nothing.
    told(session, "curve", motor="phi", half_range=0.4, steps=5, region=[0, 9, 0, 14])
    np.testing.assert_array_equal(told(session, "hello").pictures["A"].values, shown)


WIDE = SMALL.replace(camera={"pixels": (30, 45)}, scan={"phi": wb.AngleAxis(value_mrad=0.1)})
SEVERAL = WIDE.replace(
    defects=(*SMALL.defects, wb.RandomDislocations(count=62, seed=1), wb.Loop(
        burgers=[1, 0, -1], plane=[1, 1, 1], radius_um=0.5))
)  # fmt: skip


@pytest.mark.parametrize(
    ("experiment", "number"),
    [(WIDE, 0), pytest.param(SEVERAL, 0, marks=pytest.mark.slow), (SEVERAL, 2)],
    ids=["one", "of many", "loop"],
)
def test_what_is_shown_while_a_hand_moves_is_nearly_the_image_and_then_is_it(experiment, number):
    session = Session(experiment)
    told(session, "hello")
    told(session, "grasp", number=number)
    fixed = {"do": "place", "number": number, "rough": True, "gesture": 1}
    for to in ([14, 22], [10, 16]):
        answer = told(session, **fixed, to=to)
        assert answer.about["rough"] == ["A"]
        handle = answer.about["sides"]["A"]["defects"][number]["handle"]
        np.testing.assert_allclose(handle, to, atol=0.01)
        assert "values" not in answer.about["sides"]["A"]
        expected = upright(wb.simulate(experiment_of(session, "A")))
        error = np.sqrt(np.mean((answer.pictures["A"].values - expected) ** 2))
        assert error < 0.06 * np.sqrt(np.mean(expected**2))
    told(session, "motors", phi=0.2, rough=True)
    settled = told(session, "settle")
    assert settled.about["rough"] == []
    expected = upright(wb.simulate(experiment_of(session, "A")))
    np.testing.assert_allclose(settled.pictures["A"].values, expected, atol=1e-5)
    # All of the drag is one step back, to the exact image.
    for _ in range(2):
        back = told(session, "undo")
    np.testing.assert_allclose(
        back.pictures["A"].values, upright(wb.simulate(experiment)), atol=1e-5
    )


@pytest.mark.parametrize(
    ("camera", "limits"),
    [
        ({"oversampling": "point"}, {"MOST_RAYS": 2e4}),
        ({"oversampling": "auto", "depth_samples": 60}, {"MOST_RAYS": 2e4}),
        ({"oversampling": 2, "depth_samples": 30}, {"MOST_KEPT_BYTES": 1}),
    ],
    ids=["smooth", "thinned", "not kept"],
)
def test_quick_images_stay_within_their_limits(camera, limits, monkeypatch):
    for name, value in limits.items():
        monkeypatch.setattr(f"weakbeam.viewer.sketches.{name}", value)
    session = Session(WIDE.replace(camera=camera, defects=(*SMALL.defects, *SMALL.defects)))
    told(session, "hello")
    answer = told(session, "place", number=0, to=[10, 16], rough=True)
    assert answer.about["rough"] == ["A"]
    expected = upright(wb.simulate(experiment_of(session, "A")))
    error = np.sqrt(np.mean((answer.pictures["A"].values - expected) ** 2))
    assert error < 0.1 * np.sqrt(np.mean(expected**2))
    engine = session._hand._sketches["A"]._engine[1]
    assert engine.rays <= limits.get("MOST_RAYS", 30 * 30 * 45)


def test_where_nothing_has_moved_a_quick_image_is_the_exact_one():
    session = Session(SEVERAL)
    exact = told(session, "hello").pictures["A"].values
    rough = told(session, "motors", phi=0.1 + 1e-9, rough=True).pictures["A"].values
    np.testing.assert_allclose(rough, exact, atol=1e-6)


def test_what_nobody_waits_for_any_more_is_not_computed():
    """It ends within the choice of samples, and what comes next is right all the same."""

    class Enough(Exception):
        pass

    session = Session(SEVERAL)
    told(session, "hello")
    told(session, "motors", phi=0.2, rough=True)
    for most in (0, 1, 5, 50):
        asked = iter(range(most))

        def progress(share, asked=asked):
            if next(asked, None) is None:
                raise Enough

        with pytest.raises(Enough):
            session.handle({"do": "settle"}).work(progress)
    assert session.handle({"do": "motors", "phi": 0.2, "rough": True}).about["rough"] == ["A"]
    settled = told(session, "settle").pictures["A"].values
    expected = upright(wb.simulate(experiment_of(session, "A")))
    np.testing.assert_allclose(settled, expected, atol=1e-5)


def test_a_defect_is_moved_in_a_crystal_that_is_remounted():
    """The second of two symmetric reflections: positions are given in the frame of the first."""
    two = SMALL.replace(
        reflection=None,
        reflections=[{"hkl": (-1, 1, -1)}, {"hkl": (1, 1, -1)}],
        scan={"phi": wb.AngleAxis(value_mrad=0.1)},
    )
    session = Session(two)
    told(session, "reflection", number=1)
    told(session, "place", number=0, to=[3, 9], rough=True)
    handle = told(session, "place", number=0, to=[5, 4], rough=True)
    handle = handle.about["sides"]["A"]["defects"][0]["handle"]
    np.testing.assert_allclose(handle, [5, 4], atol=0.01)
    settled = told(session, "settle").pictures["A"].values
    images = wb.simulate(experiment_of(session, "A")).images
    assert images.dims[0] == "reflection"
    # Stored rows run up the page.
    np.testing.assert_allclose(settled, images.values[1][::-1], atol=1e-5)


def test_a_stop_that_is_dragged_is_followed():
    # At the peak: off it a knife edge leaves nothing but the cores.
    session = Session(WIDE.replace(scan={"phi": wb.AngleAxis(value_mrad=0.0)}))
    told(session, "set", settings=["objective.stop={kind='knife_edge', position_um=0}"])
    before = told(session, "hello").pictures["A"].values
    answer = told(session, "stop", to=[4, 4], rough=True)
    assert answer.about["sides"]["A"]["stop"]["position_um"] == 4
    expected = upright(wb.simulate(experiment_of(session, "A")))
    rough = answer.pictures["A"].values
    assert np.abs(expected - before).max() > 0.1 * expected.max()
    assert np.sqrt(np.mean((rough - expected) ** 2)) < 0.1 * np.sqrt(np.mean(expected**2))
    settled = told(session, "settle").pictures["A"].values
    np.testing.assert_allclose(settled, expected, atol=1e-5)


def test_a_turned_camera_shows_the_same_picture():
    plain = ask(Session(SMALL), "hello").pictures["A"].values
    for turn in (90, 180, 270):
        session = Session(SMALL.replace(camera={"rotation_deg": turn}))
        np.testing.assert_allclose(ask(session, "hello").pictures["A"].values, plain, atol=1e-6)


def test_a_dragged_defect_follows_the_pointer():
    session = Session(SMALL)
    before = told(session, "hello").about["sides"]["A"]["defects"][0]["handle"]
    target = [before[0] + 2.0, before[1] - 3.0]
    after = told(session, "place", number=0, to=target)
    defect = after.about["sides"]["A"]["defects"][0]
    np.testing.assert_allclose(defect["handle"], target, atol=0.01)
    # What moves along with it is the image: away from the edges it is the old one, displaced.
    position = experiment_of(session, "A").defects[0].position_um
    assert np.linalg.norm(position) > 0.1


def test_the_image_moves_with_the_defect():
    camera = {"pixels": (21, 31), "oversampling": "point"}
    wide = SMALL.replace(camera=camera, beam={"height_fwhm_um": 0.2})
    session = Session(wide)
    first = told(session, "motors", phi=0.1).pictures["A"].values
    moved = told(session, "place", number=0, to=[12, 18])
    moved = moved.pictures["A"].values
    np.testing.assert_allclose(moved[4:-2, 5:-2], first[2:-4, 2:-5], atol=2e-3)


def test_a_gesture_is_undone_at_once():
    session = Session(SMALL)
    start = told(session, "hello").pictures["A"].values
    for phi in (0.01, 0.02, 0.03):
        told(session, "motors", phi=phi, gesture=7)
    told(session, "motors", phi=0.2, gesture=8)
    back = told(session, "undo")
    assert back.about["sides"]["A"]["motors"]["phi"] == 0.03
    back = told(session, "undo")
    np.testing.assert_array_equal(back.pictures["A"].values, start)
    assert not back.about["undo"]
    assert "nothing more" in line_of(session, "undo")
    assert told(session, "redo").about["sides"]["A"]["motors"]["phi"] == 0.03


def test_a_mistake_changes_nothing_and_says_what_forward_says():
    session = Session(SMALL)
    before = session.state
    line = line_of(session, "set", settings=["beam.energy_keV=0.1"])
    with pytest.raises(wb.InputError) as mistake:
        SMALL.with_settings(["beam.energy_keV=0.1"])
    assert line == str(mistake.value)
    assert "extinct" in line_of(session, "set", settings=["reflection.hkl=[1, 0, 0]"])
    assert "defects[1].burgers" in line_of(
        session, "add", table={"kind": "dislocation", "line": [1, 0, 0]}
    )
    assert session.state is before
    assert not session.history.can_undo


def test_the_second_state_follows_the_first_until_it_is_changed():
    session = Session(SMALL)
    told(session, "motors", phi=0.1)
    assert told(session, "second", rule="phi").about["sides"]["B"]["motors"]["phi"] == -0.1
    answer = told(session, "motors", phi=0.2)
    assert answer.about["sides"]["B"]["motors"]["phi"] == -0.2
    assert set(answer.pictures) == {"A", "B", "difference"}
    np.testing.assert_array_equal(
        answer.pictures["difference"].values,
        answer.pictures["B"].values - answer.pictures["A"].values,
    )
    answer = told(session, "motors", side="B", phi=0.3)
    assert answer.about["rule"] == "copy"
    assert told(session, "motors", phi=0.0).about["sides"]["B"]["motors"]["phi"] == 0.3
    assert "B" not in told(session, "second", rule="off").about["sides"]
    assert "no second state" in line_of(session, "motors", side="B", phi=0.3)
    assert "none to take away" in line_of(session, "second", rule="stop")


def test_curves_are_those_of_a_scan():
    session = Session(SMALL)
    told(session, "motors", chi=0.2)
    curve = told(session, "curve", motor="phi", half_range=0.4, steps=7, region=[2, 4, 3, 8]).about
    experiment = SMALL.replace(
        scan={"phi": {"half_range_mrad": 0.4, "steps": 7}, "chi": {"value_mrad": 0.2}}
    )
    images = wb.simulate(experiment).images
    rows, columns = (np.argsort(images.coords[name]) for name in ("x", "y"))
    values = images.values[:, rows][:, :, columns]
    np.testing.assert_allclose(curve["y"], values[:, 2:4, 3:8].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(curve["x"], 1e3 * images.coords["phi"], atol=1e-12)
    # The perfect crystal's is the scan without defects.
    perfect = wb.simulate(experiment.model_copy(update={"defects": ()})).images.values[:, 0, 0]
    shown = np.interp(curve["x"], curve["perfect"]["x"], curve["perfect"]["y"])
    np.testing.assert_allclose(shown, perfect, atol=2e-3)
    assert "region" in line_of(session, "curve", region=[0, 99, 0, 1])


def test_maps_are_those_of_the_scan():
    session = Session(SMALL)
    shown = told(session, "map", what="center", motor="phi", half_range=0.4, steps=5)
    maps = wb.center_of_mass(run := wb.simulate(SMALL))
    rows, columns = (np.argsort(run.images.coords[name]) for name in ("x", "y"))
    expected = 1e3 * maps.phi[np.ix_(rows, columns)]
    np.testing.assert_allclose(shown.pictures["map"].values, expected, atol=1e-6)
    q = 1e3 * wb.q_field(experiment_of(session, "A")).values[1][np.ix_(rows, columns)]
    shown = told(session, "map", what="q_roll").pictures["map"]
    np.testing.assert_allclose(shown.values, q, atol=1e-6)


def test_a_link_brings_the_state_back():
    session = Session(SMALL)
    told(session, "motors", phi=0.123, z=0.2)
    told(session, "second", rule="burgers")
    link = told(session, "export", **{"as": "link"}).about["text"]
    other = Session()
    told(other, "open", link=f"http://127.0.0.1:1/x/#state={link}")
    assert other.state == session.state
    for wrong in ("", "nonsense", link[:-20], "eJwDAAAAAAE"):
        assert "link" in line_of(other, "open", link=wrong)


def test_the_python_text_makes_the_experiment():
    session = Session(SMALL)
    told(session, "set", settings=["objective.stop={kind='wire', diameter_um=60}"])
    told(session, "add", table={"kind": "loop", "burgers": [1, 0, -1], "plane": [1, 1, 1],
                                "radius_um": 0.5})  # fmt: skip
    text = told(session, "export", **{"as": "python"}).about["text"]
    names = {}
    exec(text.replace("run = wb.simulate(experiment)", ""), names)
    assert names["experiment"] == experiment_of(session, "A")


def test_a_scan_leaves_with_the_motors_that_stand(tmp_path):
    session = Session(SMALL, tmp_path)
    told(session, "motors", chi=0.2, phi=0.1)
    text = told(session, "export", what="scan", **{"as": "toml"}).about["text"]
    scan = wb.Experiment.from_toml_text(text).scan
    assert (scan.phi.steps, scan.chi.value_mrad) == (5, 0.2)
    job = session.handle({"do": "run", "what": "scan", "folder": "try"})
    assert isinstance(job, Job)
    shares = []
    answer = job.work(shares.append)
    assert answer.about["frames"] == 5
    assert shares[-1] == pytest.approx(1.0)
    stored = wb.read_scan(tmp_path / "try" / "weakbeam.h5")
    assert stored.frames == 5


def test_only_the_folder_of_the_program_is_touched(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    outside = tmp_path / "outside.cif"
    outside.write_text("data_x")
    (tmp_path / "here" / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    session = Session(SMALL)
    names = [str(outside), "../outside.cif", "link/outside.cif", "/etc/passwd", "/no/such/file"]
    for name in names:
        line = line_of(
            session, "set", settings=[f"crystal.cif='{name}'", "crystal.poisson_ratio=0.3"]
        )
        assert "outside of the folder" in line
        toml = f"[[defects]]\nkind = 'grid'\nfile = '{name}'\n"
        assert "outside of the folder" in line_of(session, "load", toml=toml)
    for name in ("", ".", "..", "../x", "/tmp/x", "a/../../x", "link/x", "a\\b", "~/x", "a\nb"):
        assert "new folder" in line_of(session, "run", what="image", folder=name)
    # What the program was started with may be anywhere: it is read, and found to be no CIF file.
    started = SMALL.replace(crystal={"cif": str(outside), "poisson_ratio": 0.3})
    with pytest.raises(wb.InputError) as mistake:
        Session(started)
    assert "outside of the folder" not in str(mistake.value)


@pytest.mark.parametrize(
    "settings_",
    [
        ["camera.pixels=[90000, 90000]"],
        ["camera.pixels=[2000, 2000]", "camera.oversampling=64"],
        ["defects=[{kind='random', count=1000000}]"],
        ["acceptance.method='ray-trace'", "acceptance.rays=1e15"],
        ["acceptance.method='ray-trace'", "acceptance.bins=[9999, 9999, 9999]"],
    ],
)
def test_what_would_take_too_long_is_refused(settings_):
    line_of(Session(SMALL), "set", settings=settings_)


def test_answers_survive_their_packing():
    answer = told(Session(SMALL), "motors", phi=0.2)
    head, pictures, files = unpack(pack(answer, 12))
    assert head["id"] == 12
    assert head["sides"] == json.loads(json.dumps(answer.about["sides"]))
    values = answer.pictures["A"].values
    np.testing.assert_allclose(pictures["A"], values, rtol=6e-4, atol=1e-9 * values.max())
    answer = told(Session(SMALL), "export", **{"as": "svg"})
    _, _, files = unpack(pack(answer))
    assert files["image.svg"].startswith(b"<?xml")


def test_what_little_there_is_in_a_bright_image_survives_as_well():
    bright = np.linspace(0.99, 1.0, 5000, dtype=np.float32).reshape(50, 100)
    bright[3, 4] = np.nan
    for values, most in ((bright, 1e-5), (-bright, 1e-3), (bright - 0.99, 1e-5), (0 * bright, 0)):
        _, pictures, _ = unpack(pack(Answer({"do": "x"}, {"A": Picture(values, {})})))
        np.testing.assert_allclose(pictures["A"], values, rtol=0, atol=most)
        assert np.isnan(pictures["A"][3, 4])


def test_what_is_not_finite_has_no_word_in_json():
    head, _, _ = unpack(pack(Answer({"do": "x", "y": [1.0, float("nan")], "z": float("inf")})))
    assert (head["y"], head["z"]) == ([1.0, None], None)


@cache
def words():
    session = Session(SMALL)
    return tuple(told(session, "hello").about["sides"]["A"]["values"])


def random_value(random_, depth=0):
    """Anything that JSON can hold, often what a message might."""
    kind = random_.randrange(14 if depth < 3 else 10)
    if kind < 3:
        return random_.choice([0, 1, -1, 0.1, 1e9, -1e300, 10**30, 2**63, float("inf")])
    if kind == 3:
        return random_.choice([None, True, False, float("nan")])
    if kind < 7:
        return random_.choice(
            ["A", "B", "phi", "toml", "", "C", "..", "\0", "é" * 50, "scan", "off", "q_roll",
             "beam.energy_keV=18", "camera.pixels=[5, 5]", "defects=[]", "a" * 5000,
             "[" * 500, "defects[0].line=[1,2]", "reflection={hkl=[0,0,0]}", "copy", "burgers"]
        )  # fmt: skip
    if kind < 10:
        return random_.uniform(-2, 2)
    if kind < 12:
        return [random_value(random_, depth + 1) for _ in range(random_.randrange(5))]
    return {
        random_.choice(["kind", "burgers", "plane", "line", "x", *words()]): random_value(
            random_, depth + 1
        )
        for _ in range(random_.randrange(4))
    }


DOES = str.split(
    "settle grasp motors set default add remove place stop reflection second undo redo load open "
    "curve map "
    "acceptance plane reflections slip export run hello nonsense"
)
KEYS = str.split(
    "side phi chi z two_theta settings key table number to rule toml link name motor half_range "
    "steps region what across as folder gesture scale limits rough"
)


def random_message(random_):
    if random_.random() < 0.05:
        return random_value(random_)
    message = {"do": random_.choice(DOES)}
    for _ in range(random_.randrange(5)):
        message[random_.choice(KEYS)] = random_value(random_)
    return message


def fuzz(count, seed, folder):
    random_ = random.Random(seed)
    session = Session(SMALL, folder, workers=1)
    for _ in range(count):
        answer = done(session.handle(random_message(random_)))
        if isinstance(answer, Answer):
            head, _, _ = unpack(pack(answer, 1))
            if head["do"] == "error":
                assert "\n" not in head["line"]
    # It still works, and shows what it says.
    told(session, "load", toml=SMALL.to_toml())
    picture = told(session, "motors", phi=0.1).pictures["A"].values
    expected = upright(wb.simulate(experiment_of(session, "A")))
    np.testing.assert_allclose(picture, expected, atol=1e-5)


def test_random_messages_are_answered(tmp_path):
    fuzz(300, 1, tmp_path)


@pytest.mark.slow
def test_ten_thousand_random_messages_are_answered(tmp_path):
    fuzz(10_000, 2, tmp_path)
