"""The microscope in the browser, from the hand to the eye: input event to painted image.

    python -m benchmarks.live [--repeats 3]

Needs Debian's chromium and chromium-driver, selenium and the extra ``live``. Each row is a number
of events, one after the other as a hand makes them, with everything that the page asks for besides;
"engine" is the part of it that the session takes, "CPU" what the whole program takes for an event,
what stands beside the image and the exact images included, "exact" the time from the last event
until those are there. The baseline is a message that changes nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import _measure as timing

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
EVENTS = """
const [kind, count, done] = arguments;
const { latencies, link, sides, views } = window.weakbeam;
const answered = () => new Promise((go) => {
  const before = latencies.length;
  // What the page asks for of its own is not what the hand waits for.
  const look = () => {
    const found = latencies.slice(before).find((one) => one.do !== "settle");
    if (found) go(found);
    else setTimeout(look, 1);
  };
  look();
});
// Until the exact image is there as well, and everything that stands beside it.
const rested = () => new Promise((go) => {
  let quiet = 0;
  const look = () => {
    quiet = link.sent.size || window.weakbeam.rough.length ? 0 : quiet + 1;
    if (quiet > 40) go();
    else setTimeout(look, 25);
  };
  look();
});
const slider = (name) => document.getElementById(`motor-${name}`);
const acts = {
  nothing: () => link.send({ do: "motors", side: "A" }),
  motor: (k) => {
    slider("phi").value = 0.15 + 0.001 * (k % 50);
    slider("phi").dispatchEvent(new Event("input"));
  },
  z: (k) => {
    slider("z").value = 0.01 * ((k % 20) + 1);
    slider("z").dispatchEvent(new Event("input"));
  },
  drag: (k) => link.send({ do: "place", side: "A", number: 0,
    to: [60 + k % 37, 200 + 2 * (k % 53)], gesture: 1, slot: "place", rough: true }),
  frame: (k) => {
    const input = document.querySelector("#motors input[type=range]");
    input.value = k % (Number(input.max) + 1);
    input.dispatchEvent(new Event("input"));
  },
};
(async () => {
  const found = [];
  await rested();
  if (kind === "drag") link.send({ do: "grasp", side: "A", number: 0 });
  await new Promise((go) => setTimeout(go, 150));
  for (let k = 0; k < count; k += 1) {
    const answer = answered();
    acts[kind](k);
    const { ms, engine } = await answer;
    found.push([ms, engine]);
    await new Promise((go) => setTimeout(go, 30));
  }
  const end = performance.now();
  await rested();
  done([found, performance.now() - end - 1000]);
})();
"""


def main() -> None:
    options = timing.parser(__doc__).parse_args()
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if not driver or not chromium:
        print("needs chromium and chromedriver: apt-get install chromium chromium-driver")
        return
    import numpy as np
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    import weakbeam as wb
    from weakbeam.viewer.live import Microscope, live
    from weakbeam.viewer.opened import scan_session

    print(timing.machine())
    print(f"load {os.getloadavg()[0]:.1f}")
    settings = Options()
    settings.binary_location = chromium
    rows: list[tuple[str, np.ndarray, float, float, float]] = []
    ready: list[tuple[str, float]] = []
    weak = wb.Experiment(scan={"phi": {"value_mrad": 0.15}})
    many = weak.replace(defects=(*weak.defects, wb.RandomDislocations(count=99, seed=1)))
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}/browser"):
            settings.add_argument(flag)
        page = webdriver.Chrome(options=settings, service=Service(driver))
        page.set_window_size(1440, 1000)
        page.set_script_timeout(300)

        def open_page(microscope: Microscope, start: float, name: str) -> None:
            page.get("about:blank")
            begun = time.perf_counter()
            page.get(microscope.url)
            while not page.execute_script("return window.weakbeam?.ready"):
                time.sleep(0.01)
            there = float(page.execute_script("return window.weakbeam.ready"))
            ready.append((name, 1e3 * (begun - start) + there))
            time.sleep(1.0)

        def measure(name: str, kind: str, count: int) -> None:
            page.execute_async_script(EVENTS, kind, 3)
            before = time.process_time()
            load = os.getloadavg()[0]
            found, rest = page.execute_async_script(EVENTS, kind, count * options.repeats)
            cpu = 1e3 * (time.process_time() - before) / len(found)
            rows.append((name, np.array(found, dtype=float), rest, cpu, load))

        try:
            start = time.perf_counter()
            with live(weak) as microscope:
                open_page(microscope, start, "one dislocation, 170 x 510")
                measure("nothing changes (baseline)", "nothing", 20)
                measure("φ turns", "motor", 30)
                measure("z moves", "z", 20)
                measure("the dislocation is dragged", "drag", 30)
            start = time.perf_counter()
            with live(many) as microscope:
                open_page(microscope, start, "100 dislocations")
                measure("φ turns, 100 dislocations", "motor", 20)
                measure("one of 100 dislocations is dragged", "drag", 10)
            file = Path(profile) / "scan.h5"
            write_scan(file)
            start = time.perf_counter()
            with Microscope(scan_session(file)) as microscope:
                open_page(microscope, start, "scan of 2048 x 2048")
                measure("a frame of 2048 x 2048", "frame", 10)
        finally:
            page.quit()
    print(
        f"\n{'':36s} {'events':>7s} {'median':>8s} {'p95':>8s} {'engine':>8s} {'CPU':>8s} "
        f"{'exact':>8s} {'load':>6s}   ms"
    )
    for name, found, rest, cpu, load in rows:
        middle, last = np.percentile(found[:, 0], [50, 95])
        engine = np.median(found[:, 1])
        print(
            f"{name:36s} {len(found):7d} {middle:8.1f} {last:8.1f} {engine:8.1f} {cpu:8.1f} "
            f"{rest:8.0f} {load:6.1f}"
        )
    print("\npage ready after the start of session and server (compiled code is there)")
    for name, milliseconds in ready:
        print(f"{name:36s} {milliseconds:8.0f} ms")
    sys.stdout.flush()


def write_scan(file: Path) -> None:
    """A scan of a beamline with frames of 2048 x 2048 counts."""
    import h5py
    import numpy as np

    draws = np.random.default_rng(1)
    with h5py.File(file, "w") as out:
        entry = out.create_group("1.1")
        entry["title"] = "fscan mu -0.1 0.02 11 1"
        stack = entry.create_dataset(
            "instrument/pco_ff/data", (11, 2048, 2048), np.uint16, chunks=(1, 2048, 2048),
            compression="gzip", compression_opts=1,
        )  # fmt: skip
        for k in range(11):
            stack[k] = draws.poisson(100 + 400 * np.exp(-((k - 5) ** 2) / 4), (2048, 2048))
        entry["instrument/mu/value"] = np.linspace(-0.1, 0.1, 11)
        entry["measurement/mu"] = np.linspace(-0.1, 0.1, 11)


if __name__ == "__main__":
    main()
