"""The folder of a sweep: its plans, its files of images, and which of them are complete.

``plans/DIGEST.toml`` is the manifest with the experiment in it, all that a worker needs;
``shards/DIGEST-NUMBER.h5`` holds images, and the receipt ``.json`` beside it tells that it is
complete. Files of another manifest stay: tasks that are in them are not computed again.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident

from weakbeam.batch.manifest import Sweep, read_sweep
from weakbeam.batch.receipts import Receipt, placed, read_receipt
from weakbeam.core.notices import notice
from weakbeam.errors import InputError
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.lock import is_running
from weakbeam.io.targets import INDEX, NOTE, TASKS, claim, claim_folder
from weakbeam.run.kept_inputs import kept_files, too_large

_LETTERS = 12
"""Digits of a sweep's digest in the names of its files."""

_ID_BYTES = 32

_PLAN_NAME = re.compile(rf"[0-9a-f]{{{_LETTERS}}}\.(toml|kept)")
_SHARD_NAME = re.compile(rf"[0-9a-f]{{{_LETTERS}}}-\d{{6}}\.(json|h5|tar|zarr\.zip)")


@dataclass(frozen=True)
class SweepFolder:
    """A folder for sweeps.

    Parameters
    ----------
    path : Path
        The folder.
    """

    path: Path

    @property
    def shards(self) -> Path:
        """Where the files of images are."""
        return self.path / "shards"

    @property
    def plans(self) -> Path:
        """Where the manifests are."""
        return self.path / "plans"

    def plan(self, digest: str) -> Path:
        """The manifest of a sweep."""
        return self.plans / f"{digest[:_LETTERS]}.toml"

    def latest(self) -> Path:
        """The manifest that was run last.

        Raises
        ------
        InputError
            If the folder holds no sweep.
        """
        try:
            name = (self.path / "sweep.txt").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            name = ""
        # A name of one part: the note of a stranger must not lead out of the folder.
        if not name or Path(name).name != name or not (self.plans / name).is_file():
            raise InputError(str(self.path), None, "holds no sweep")
        return self.plans / name

    def name(self, digest: str, number: int) -> str:
        """Name of a file of images, without its end."""
        return f"{digest[:_LETTERS]}-{number:06d}"

    def receipt(self, digest: str, number: int) -> Receipt | None:
        """What a file of images holds; None if it is not complete."""
        receipt = read_receipt(self.shards / f"{self.name(digest, number)}.json")
        return receipt if receipt is not None and receipt.is_intact(self.shards) else None

    def draft(self, name: str) -> Path:
        """A name for a file that is being written, which tells by whom."""
        return _draft(self.shards / name)

    # ------------------------------------------------------------------ before a run

    def prepare(self, sweep: Sweep, resume: bool) -> None:
        """Make the folder ready for a run; it must be locked.

        Parameters
        ----------
        sweep : Sweep
            What is to be run.
        resume : bool
            Whether the folder may hold a sweep already.

        Raises
        ------
        InputError
            If the folder holds a sweep and `resume` is not set, or cannot be written to.
        RunError
            If the disk fails.
        """
        plan = self.plan(sweep.digest)
        claim_folder(self.plans)
        claim_folder(self.shards)
        for name, kind in {"sweep.txt": NOTE, "tasks.csv": TASKS, "sweep.h5": INDEX}.items():
            claim(self.path / name, kind, overwrite=True)
        if not resume and (self.plans.exists() or self.shards.exists()):
            raise InputError(
                "folder",
                str(self.path),
                "holds a sweep; `resume` goes on with it or extends it, `overwrite` replaces it",
            )
        try:
            self.plans.mkdir(parents=True, exist_ok=True)
            self.shards.mkdir(exist_ok=True)
            if not plan.exists():
                self._write_kept(sweep, self._ids_elsewhere(sweep))
                self._write(plan, self._with_copies(sweep).to_toml().encode())
            elif kept := self.kept(sweep.digest):
                self._forget_lost(sweep, kept)
            self._write(self.path / "sweep.txt", f"{plan.name}\n".encode())
        except OSError as error:
            raise creation_error(self.path, error) from None

    def _with_copies(self, sweep: Sweep) -> Sweep:
        """Copy the files that a sweep reads, and give the sweep their names from a plan."""
        groups = [group for group in sweep.groups if group[0] in sweep.hashes]
        files = kept_files(groups, sweep.hashes, self.path)
        for note in too_large(files.values()):
            notice(note)
        for file in files.values():
            file.write(self.path)

        def from_plan(name: str) -> str:
            file = files.get(name)
            inside = file is not None and file.is_inside
            return f"../{file.stored}" if inside and file is not None else name

        return sweep.with_files(from_plan)

    def clear(self) -> None:
        """Remove the sweep that the folder holds, and nothing else; it must be locked."""
        for place, names in ((self.shards, _SHARD_NAME), (self.plans, _PLAN_NAME)):
            for path in place.iterdir() if place.is_dir() else ():
                if names.fullmatch(path.name) and path.is_file():
                    path.unlink()

    def remove_drafts(self) -> None:
        """Remove what processes of this computer have left that are gone."""
        drafts = (path for place in (self.plans, self.shards) for path in place.glob("*.part"))
        for path in (*drafts, *self.path.glob("*.part")):
            writer, _, pid = path.name.removesuffix(".part").rpartition("-")[0].rpartition("-")
            is_mine = writer.endswith(f".{platform.node()}") and pid.isdigit()
            if is_mine and not is_running(int(pid)):
                path.unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes) -> None:
        draft = _draft(path)
        with placed(draft, path):
            draft.write_bytes(data)

    # ------------------------------------------------------------------ tasks in other files

    def kept(self, digest: str) -> frozenset[bytes]:
        """Tasks, by their ids, that files of other manifests hold."""
        try:
            data = self._kept_path(digest).read_bytes()
        except FileNotFoundError:
            return frozenset()
        return frozenset(data[k : k + _ID_BYTES] for k in range(0, len(data), _ID_BYTES))

    def version_of_kept(self, digest: str) -> tuple[int, ...]:
        """What changes when the list of these tasks does."""
        try:
            status = self._kept_path(digest).stat()
        except FileNotFoundError:
            return ()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _kept_path(self, digest: str) -> Path:
        return self.plan(digest).with_suffix(".kept")

    def elsewhere(self, sweep: Sweep) -> Iterator[Receipt]:
        """Receipts of complete files of other manifests, in the same format."""
        for path in sorted(self.shards.glob("*.json")):
            if path.name.startswith(sweep.digest[:_LETTERS]):
                continue
            receipt = read_receipt(path)
            is_like = receipt is not None and receipt.format == sweep.manifest.output.format
            if receipt is not None and is_like and receipt.is_intact(self.shards):
                yield receipt

    def _ids_elsewhere(self, sweep: Sweep) -> set[bytes]:
        return {bytes.fromhex(s.id) for receipt in self.elsewhere(sweep) for s in receipt.stored}

    def _write_kept(self, sweep: Sweep, ids: set[bytes]) -> None:
        path = self._kept_path(sweep.digest)
        if ids:
            self._write(path, b"".join(sorted(ids)))
        else:
            path.unlink(missing_ok=True)

    def _forget_lost(self, sweep: Sweep, kept: frozenset[bytes]) -> None:
        """Have those tasks computed again whose files, of another manifest, are gone."""
        lost = kept - self._ids_elsewhere(sweep)
        if not lost:
            return
        # The receipts first: after a crash the list still tells which are lost.
        for number in range(sweep.shards):
            path = self.shards / f"{self.name(sweep.digest, number)}.json"
            receipt = read_receipt(path)
            if receipt and any(bytes.fromhex(k.id) in lost for k in receipt.kept):
                path.unlink()
        self._write_kept(sweep, set(kept - lost))


def _draft(path: Path) -> Path:
    """Where a file is written, by this thread alone, before it gets its name."""
    return path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}-{get_ident()}.part")


def sweep_in(folder: SweepFolder) -> Sweep:
    """The sweep that was run last in a folder."""
    return read_sweep(folder.latest())
