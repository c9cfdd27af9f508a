"""One network written in every format, for tests: lengths in b, or as the format has them.

A box of 40 × 30 × 20 b that repeats. Nodes 0 to 2 make a loop, node 3 carries a line straight
through the box, nodes 4 and 5 are joined by three arms, whose Burgers vectors add up to zero; one
of these leaves the box.
"""

import numpy as np

CELL = np.diag([40.0, 30.0, 20.0])
LOW = np.array([-20.0, -15.0, -10.0])
R = 1.0 / np.sqrt(2.0)
NODES = np.array(
    [
        [2, 3, 1],
        [8, 3, 1],
        [5, 9, 1],
        [-19, -5, 2],
        [12, 0, 0],
        [-18, 2, -3],
        [0, -8, 0],
        [3, -8, 4],
    ],
    float,
)
# From, to, step beyond the nearest image, Burgers vector.
ARMS = [
    (0, 1, [R, R, 0]),
    (1, 2, [R, R, 0]),
    (2, 0, [R, R, 0]),
    (3, 3, [R, 0, R]),
    (4, 5, [R, R, 0]),
    (4, 6, [-R, 0, -R]),
    (6, 5, [-R, 0, -R]),
    (4, 7, [0, -R, R]),
    (7, 5, [0, -R, R]),
]
NORMALS = {
    (R, R, 0): (0, 0, 1),
    (R, 0, R): (0, 1, 0),
    (-R, 0, -R): (0, 1, 0),
    (0, -R, R): (1, 0, 0),
}


def step(i, j):
    if i == j:
        return np.array([40.0, 0.0, 0.0])
    away = NODES[j] - NODES[i]
    return away - np.round(away / np.diag(CELL)) * np.diag(CELL)


def arms():
    """Rows (start, step, b) of every arm, in an order of their own."""
    rows = [[*NODES[i], *step(i, j), *b] for i, j, b in ARMS]
    return np.array(rows)


def split(i, j):
    """ParaDiS has no arm from a node to itself: two more nodes on the line."""
    return NODES[i] + step(i, j) / 3.0, NODES[i] + 2.0 * step(i, j) / 3.0


def paradis(version=4):
    """ParaDiS text; in version 5 corners stand on a line."""
    nodes = [*NODES.tolist(), *(p.tolist() for p in split(3, 3))]
    joined = [(i, j, b) for i, j, b in ARMS if i != j]
    joined += [(3, 8, [R, 0, R]), (8, 9, [R, 0, R]), (9, 3, [R, 0, R])]
    high = LOW + np.diag(CELL)
    text = f"dataFileVersion =   {version}\nnumFileSegments = 1\n"
    for name, corner in (("minCoordinates", LOW), ("maxCoordinates", high)):
        words = [f"{x:.6e}" for x in corner]
        text += (
            f"{name} = [ {' '.join(words)} ]\n"
            if version == 5
            else (f"{name} = [\n  " + "\n  ".join(words) + "\n  ]\n")
        )
    text += (
        f"nodeCount =   {len(nodes)}\ndataDecompType = 2\ndataDecompGeometry = [\n 1\n 1\n 1\n ]\n"
    )
    text += "#\n#  END OF DATA FILE PARAMETERS\n#\ndomainDecomposition = \n# Dom_ID bounds\n"
    text += "  0  -20 -15 -10 20 15 10\nnodalData = \n#  Primary lines\n"
    for k, place in enumerate(nodes):
        # Folded into the box, as the program leaves them.
        x = (np.array(place) - LOW) % np.diag(CELL) + LOW
        theirs = [(j, b, 1) for i, j, b in joined if i == k]
        theirs += [(i, b, -1) for i, j, b in joined if j == k]
        text += f" 0,{k} {x[0]:.8f} {x[1]:.8f} {x[2]:.8f} {len(theirs)} 0\n"
        for other, b, sign in theirs:
            values = " ".join(f"{sign * x:.10e}" for x in b)
            normal = " ".join(f"{x:.10e}" for x in NORMALS[tuple(b)])
            text += f"   0,{other} {values}\n       {normal}   # an arm\n"
    return text


def paradis_of(network, unit):
    """ParaDiS text of a `DislocationNetwork` in a rectangular box, in b of `unit` µm."""
    edges = np.diag(network.periods) / unit
    low = network.centre / unit - 0.5 * edges
    text = "dataFileVersion = 4\nnumFileSegments = 1\n"
    for name, corner in (("minCoordinates", low), ("maxCoordinates", low + edges)):
        text += f"{name} = [\n" + "\n".join(f"{x:.8e}" for x in corner) + "\n]\n"
    text += f"nodeCount = {len(network.nodes)}\nnodalData = \n"
    lines = [[] for _ in network.nodes]
    for (i, j), b in zip(network.arms.tolist(), network.burgers / unit, strict=True):
        for here, other, sign in ((i, j, 1.0), (j, i, -1.0)):
            values = " ".join(f"{sign * x:.12e}" for x in b)
            lines[here].append(f"   0,{other} {values}\n      0.0 0.0 0.0\n")
    for k, place in enumerate(network.nodes / unit):
        x, y, z = (place - low) % edges + low
        text += f" 0,{k} {x:.8f} {y:.8f} {z:.8f} {len(lines[k])} 0\n" + "".join(lines[k])
    return text


def cut():
    """Every arm as pieces that end at the faces of the box, (m, 2, 3), and the arm of each."""
    pieces, whose = [], []
    for k, (i, j, _) in enumerate(ARMS):
        start, along = NODES[i].copy(), step(i, j)
        while True:
            shares = np.where(
                along > 0, (LOW + np.diag(CELL) - start) / np.where(along > 0, along, 1), np.inf
            )
            shares = np.where(along < 0, (LOW - start) / np.where(along < 0, along, 1), shares)
            axis = int(np.argmin(shares))
            if shares[axis] >= 1.0 - 1e-12:
                pieces.append([start, start + along])
                whose.append(k)
                break
            pieces.append([start, start + shares[axis] * along])
            whose.append(k)
            start = start + shares[axis] * along
            along = along * (1.0 - shares[axis])
            start[axis] -= np.sign(along[axis]) * CELL[axis, axis]
    return np.array(pieces), whose


def vtk():
    """Legacy VTK as OpenDiS writes it: corners in an order of their own, arms cut at the faces."""
    pieces, whose = cut()
    sides = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
    points = [LOW + np.array(side) @ CELL for side in sides] + list(pieces.reshape(-1, 3))
    count = len(pieces)
    lines = ["# vtk DataFile Version 3.0", "Configuration exported from OpenDiS", "ASCII"]
    lines += ["DATASET UNSTRUCTURED_GRID", f"POINTS {len(points)} FLOAT"]
    lines += [f"{p[0]:f} {p[1]:f} {p[2]:f}" for p in points]
    lines += [f"CELLS {count + 1} {9 + 3 * count}", "8 0 1 4 2 3 5 7 6"]
    lines += [f"2 {8 + 2 * k} {9 + 2 * k}" for k in range(count)]
    lines += [f"CELL_TYPES {count + 1}", "12", *["4"] * count, f"CELL_DATA {count + 1}"]
    for name, of in (("Burgers", lambda b: b), ("Planes", lambda b: NORMALS[tuple(b)])):
        lines += [f"VECTORS {name} FLOAT", "0.0 0.0 0.0"]
        lines += ["{:f} {:f} {:f}".format(*of(ARMS[k][2])) for k in whose]
    lines += ["SCALARS SlipSystem FLOAT 1", "LOOKUP_TABLE default", *["0.0"] * (count + 1)]
    return "\n".join(lines) + "\n"


def vtk_without_box():
    """The closed loop alone, in a file whose cells are lines only."""
    lines = ["# vtk DataFile Version 3.0", "Configuration exported from OpenDiS", "ASCII"]
    lines += ["DATASET UNSTRUCTURED_GRID", "POINTS 6 FLOAT"]
    for i, j, _ in ARMS[:3]:
        lines += ["{:f} {:f} {:f}".format(*NODES[k]) for k in (i, j)]
    lines += ["CELLS 3 9", "2 0 1", "2 2 3", "2 4 5", "CELL_TYPES 3", "4", "4", "4"]
    lines += ["CELL_DATA 3", "VECTORS Burgers FLOAT"]
    lines += ["{:f} {:f} {:f}".format(*b) for _, _, b in ARMS[:3]]
    return "\n".join(lines) + "\n"


def restart():
    """An ExaDiS restart file."""
    text = "# ExaDiS restart file\n\nversion 1.0\nstep 3\ncrystal type 2\n"
    text += "crystal orientation 1 0 0 0 1 0 0 0 1\n\npbc 1 1 1\nH 40 0 0 0 30 0 0 0 20\n"
    places = [*NODES.tolist(), *(p.tolist() for p in split(3, 3))]
    text += f"origin -20 -15 -10\n\nNnodes {len(places)}\n"
    for k, place in enumerate(places):
        x = (np.array(place) - LOW) % np.diag(CELL) + LOW
        text += f"{k} {x[0]:.17g} {x[1]:.17g} {x[2]:.17g} 0\n"
    joined = [(i, j, b) for i, j, b in ARMS if i != j]
    joined += [(3, 8, [R, 0, R]), (8, 9, [R, 0, R]), (9, 3, [R, 0, R])]
    text += f"\nNsegs {len(joined)}\n"
    for i, j, b in joined:
        values = " ".join(f"{x:.17g}" for x in (*b, *NORMALS[tuple(b)]))
        text += f"{i} {j} {values}\n"
    return text


def dxa(constant=4.0, turn=None, second=None):
    """OVITO's .ca: points in Å (a b of 1 Å here), b in lattice constants of a turned crystal.

    With a second orientation every other line belongs to a cluster that has it.
    """
    turn = np.eye(3) if turn is None else turn
    turns = [turn] if second is None else [turn, second]
    text = (
        "CA_FILE_VERSION 6\nCA_LIB_VERSION 0.0.0\nSTRUCTURE_TYPES 1\nSTRUCTURE_TYPE 1\nNAME fcc\n"
    )
    text += "FULL_NAME FCC\nCOLOR 0.4 1.0 0.4\nTYPE LATTICE\nBURGERS_VECTOR_FAMILIES 1\n"
    text += "BURGERS_VECTOR_FAMILY ID 1\n1/2<110> (Perfect)\n0.5 0.5 0.0\n0.2 0.2 1.0\n"
    text += "END_STRUCTURE_TYPE\nSIMULATION_CELL_ORIGIN -20 -15 -10\nSIMULATION_CELL_MATRIX\n"
    text += "40 0 0\n0 30 0\n0 0 20\nPBC_FLAGS 1 1 1\n"
    text += f"CLUSTERS {len(turns)}\n"
    for number, own in enumerate(turns, 1):
        text += f"CLUSTER {number}\nCLUSTER_STRUCTURE 1\nCLUSTER_ORIENTATION\n"
        text += "\n".join(" ".join(f"{constant * x:.12g}" for x in row) for row in own)
        text += "\nCLUSTER_COLOR 1 1 1\nCLUSTER_SIZE 100\nEND_CLUSTER\n"
    text += f"CLUSTER_TRANSITIONS 0\nDISLOCATIONS {len(ARMS)}\n"
    for k, (i, j, b) in enumerate(ARMS):
        cluster = k % len(turns)
        local = turns[cluster].T @ np.array(b) * R
        start = NODES[i]
        text += f"{k}\n{local[0]:.12g} {local[1]:.12g} {local[2]:.12g}\n{cluster + 1}\n3\n"
        for share in (0.0, 0.5, 1.0):
            p = start + share * step(i, j)
            text += f"{p[0]:.12g} {p[1]:.12g} {p[2]:.12g}\n"
    return text + "DISLOCATION_JUNCTIONS\n0 0\n"


def table(scale=1e-3):
    """Our own CSV, in µm: the closed part of the network."""
    lines = ["# from another program", "x0,y0,z0,x1,y1,z1,bx,by,bz,source"]
    for i, j, b in ARMS[:3]:
        values = [*(scale * NODES[i]), *(scale * (NODES[i] + step(i, j))), *(scale * np.array(b))]
        lines.append(",".join(f"{x:.12g}" for x in values) + ",loop")
    return "\n".join(lines) + "\n"
