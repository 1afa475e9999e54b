"""`CLIPManager` by itself: promotion, agreement, demotion, what stays."""

import time

import numpy as np

from gpu_check.bench import GPU, wait_spare
from gpu_check.driver import came_back_mb, settled_mb
from gpu_check.lab import Lab
from gpu_check.limits import DISTANCE, LATE_MB, LOST_MB
from gpu_check.report import Findings
from singletrack_tasks.payload.vectors import Vector
from singletrack_worker.assembly import build_tenants
from singletrack_worker.gpu.clip import canaries
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.tenants import Clip

_BATCH = 64


class ClipCheck:
    """One CLIP, its inputs, and what was in use on the GPU before it came (MiB)."""

    def __init__(self, lab: Lab, found: Findings, clip: Clip, empty_mb: int) -> None:
        self._lab, self._found, self._clip, self._empty_mb = lab, found, clip, empty_mb
        model = clip.model
        if model is None:
            raise RuntimeError("CLIP did not start")
        count = lab.times(4, 28)
        numbers = np.random.default_rng(7)
        self._pictures = canaries.images(model.image_size)
        self._pictures += [numbers.bytes(model.image_size**2 * 3) for _ in range(count)]
        self._texts = [*canaries.TEXTS, *(f"icon number {number} of a toolbar" for number in range(count))]

    def check(self) -> None:
        """Promote, compare, demote, as often as there is time for."""
        before = self._embed()
        self._promote("cold")
        self._agrees(before)
        self._batches()
        for _ in range(self._lab.times(1, 4)):
            self._demote()
            self._spare()
            self._promote("warm")
        self._demote()
        left_mb = settled_mb(self._lab.driver) - self._empty_mb
        self._found.expect("MB that never came back", abs(left_mb) <= LOST_MB, left_mb)
        self._found.figure("clip_residue_mb", left_mb)
        same = bool(np.array_equal(self._embed(), before))
        self._found.expect("the CPU's bits are the same as before the migrations", same, same)

    def _embed(self) -> Vector:
        return np.concatenate([self._clip.embed_images(self._pictures), self._clip.embed_texts(self._texts)])

    def _promote(self, how: str) -> None:
        began_s = time.monotonic()
        self._clip.promote()
        took_s = time.monotonic() - began_s
        taken_mb = self._lab.driver.used_mb() - self._empty_mb
        self._found.tell(f"promotion with a {how} spare: s, MB", f"{took_s:.2f} / {taken_mb}")
        self._found.figure(f"promotion_{how}_s", took_s)
        self._found.figure("clip_mb", taken_mb)
        device = self._clip.find()
        self._found.expect("the weights are on", device.startswith(GPU), device)
        if how == "cold":
            self._found.expect("the driver sees it", taken_mb > LOST_MB, taken_mb)

    def _agrees(self, before: Vector) -> None:
        now = self._embed()
        distance = canaries.largest_distance(before, now)
        what = f"largest 1 - cosine between CPU and GPU, {len(self._pictures)} images, {len(self._texts)} texts"
        self._found.expect(what, distance <= DISTANCE, f"{distance:.3g}")
        self._found.figure("largest_distance", distance)
        differs = not np.array_equal(before, now)
        self._found.expect("bits differ: it was really the GPU", differs, differs)

    def _batches(self) -> None:
        many = (self._pictures * _BATCH)[:_BATCH]
        self._clip.embed_images(many)
        began_s = time.perf_counter()
        self._clip.embed_images(many)
        took_s = time.perf_counter() - began_s
        self._found.tell(f"{_BATCH} images through the pipe, images a second", f"{_BATCH / took_s:.0f}")
        self._found.tell("MB after that", self._lab.driver.used_mb() - self._empty_mb)

    def _demote(self) -> None:
        pid = self._clip.pids[1]
        began_s = time.monotonic()
        self._clip.demote()
        took_s = time.monotonic() - began_s
        left_mb = self._lab.driver.used_mb() - self._empty_mb
        late_mb, back_s = came_back_mb(self._lab.driver, self._empty_mb, within_mb=LOST_MB)
        self._found.tell("demotion: s, MB left at its return", f"{took_s:.3f} / {left_mb}")
        self._found.expect("MB that came back after its return", late_mb <= LATE_MB, late_mb)
        self._found.expect("its memory is back after s", back_s is not None, back_s)
        self._found.expect("the driver lists its process no more", pid not in self._lab.driver.held_mb(), pid)
        self._found.figure("demotion_s", took_s)

    def _spare(self) -> None:
        pid = wait_spare(self._clip)
        self._found.expect("there is a warm spare", pid is not None, pid)
        holds = self._lab.driver.held_mb().get(pid or 0)
        used_mb = settled_mb(self._lab.driver, rest_s=0.2) - self._empty_mb
        free_of_it = pid not in self._lab.driver.held_mb() and abs(used_mb) <= LOST_MB
        self._found.expect(
            "the warm spare has no memory on the GPU", free_of_it, f"{holds} MB listed, {used_mb} in use"
        )


def run(lab: Lab, found: Findings) -> None:
    """Start CLIP and check it."""
    config = lab.config({}, tiny=False)
    vram = lab.vram(config)
    clip = build_tenants(config, SystemClock(), vram, encoder=lab.encoder).clip
    empty_mb = settled_mb(lab.driver)
    began_s = time.monotonic()
    clip.start()
    found.tell("the CPU's encoder is ready after s", f"{time.monotonic() - began_s:.2f}")
    try:
        ClipCheck(lab, found, clip, empty_mb).check()
    finally:
        clip.stop()
        vram.close()
