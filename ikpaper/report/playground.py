"""What the playground page of the book needs: compact weights, and facts of each arm, as scripts.

Weights are rounded to whole multiples of a step, one a matrix, and deflated: of the larger
networks most weights are next to zero. A script is text that a browser also loads from disk,
where it refuses to fetch anything else.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor

from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.files import project_root, write_text
from ikpaper.format import fixed, percent, significant
from ikpaper.metrics import resimulation_error, two_sample_test
from ikpaper.models import NetworkSampler, model_type
from ikpaper.models.scaled import ScaledNetwork
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.report.plots.style import COLORS, LABELS
from ikpaper.weights import load

#: Samplers of the page, in the order in which it offers them.
SAMPLERS = ("exact", "flow-fast", "flow", "cvae", "inn", "prior")

#: Steps between zero and the largest weight of a matrix, by model: as few as leave its samples
#: what they are, which `export` measures.
LEVELS: Mapping[str, int] = {"flow-fast": 255, "flow": 255, "cvae": 4095, "inn": 511}

#: The same for biases and single numbers, of which there are few.
_FINE = 32767

#: Scripts, in a folder that Sphinx copies: those in `_static` Jupyter Book loads on every page.
_SCRIPTS = Path("_extra", "playground", "weights")

#: Where the target is at first, in shares of the reach: that of the front page's figure
#: (`notebooks/beyond.py`), which is so a still of the page.
START = (0.9, 0.22)

#: Share of the training targets within `Region`, and how finely its outline is drawn.
_SHARE, _BEARINGS, _RADII = 0.999, 24, 240

#: Targets, samples of each and permutations of the comparison with the weights that were packed.
_TARGETS, _SAMPLES, _PERMUTATIONS = 100, 200, 200

_HEADER = (
    "sampler",
    "joints",
    "kB",
    "angle difference [rad]",
    "unbiased MMD² [10⁻⁵] (rejected)",
    "E‖f(θ) − y‖² (published)",
)


class Region(NamedTuple):
    """Where the training targets lie: between two radii, which depend on the bearing.

    Attributes:
        share: Share of the targets within.
        bearings: Bearings off the x axis in radians, from zero on, shape (n,); beyond the last
            one there is no training target of that share. The other side is its mirror image.
        inner: Smallest radius at each bearing, shape (n,).
        outer: Largest one.
    """

    share: float
    bearings: np.ndarray
    inner: np.ndarray
    outer: np.ndarray

    def contains(self, tcp: Tensor) -> np.ndarray:
        """Whether targets (n, 2) are within, shape (n,)."""
        x, y = tcp.double().numpy().T
        bearing, radius = np.arctan2(np.abs(y), x), np.hypot(x, y)
        inner = np.interp(bearing, self.bearings, self.inner)
        outer = np.interp(bearing, self.bearings, self.outer)
        return (bearing <= self.bearings[-1]) & (radius >= inner) & (radius <= outer)


def common_targets(arm: PlanarArm, tcp: Tensor, share: float = _SHARE) -> Region:
    """The region where targets are densest that holds a share of them.

    Args:
        arm: The arm, whose prior is its own mirror image.
        tcp: Targets, shape (n, 2).
        share: How many of them it is to hold, nearly.
    """
    x, y = tcp.double().numpy().T
    bearing, radius = np.arctan2(np.abs(y), x), np.hypot(x, y)
    edges = np.linspace(0, np.quantile(bearing, 1 - (1 - share) / 4), _BEARINGS + 1)
    rings = np.linspace(0, arm.reach, _RADII + 1)
    counts = np.histogram2d(bearing, radius, [edges, rings])[0]
    # The share that is cut off has a few targets a cell: neighbours are counted, too, and on the
    # axis those of the mirror image.
    density = uniform_filter(counts, size=(3, 9), mode="reflect") / np.diff(rings**2)
    middle = (edges[:-1] + edges[1:]) / 2
    bearings = np.concatenate([[0], middle])

    def denser(least: float) -> Region:
        dense: np.ndarray = np.greater(density, least)
        last = max(1, int(np.r_[dense.any(axis=1), False].argmin()))
        inner = rings[dense[:last].argmax(axis=1)]
        outer = rings[_RADII - dense[:last, ::-1].argmax(axis=1)]
        region = Region(0.0, bearings[: last + 1], np.r_[inner[:1], inner], np.r_[outer[:1], outer])
        return region._replace(share=float(region.contains(tcp).mean()))

    low, high = 0.0, float(density.max())
    for _ in range(40):
        least = (low + high) / 2
        low, high = (least, high) if denser(least).share >= share else (low, least)
    return denser(low)


def packed(model: NetworkSampler, levels: int) -> str:
    """A script with a model's weights, rounded, and all numbers that sampling needs.

    Args:
        model: A trained model.
        levels: Steps between zero and the largest weight of a matrix.
    """
    tensors, whole = [], []
    permutations = []
    for name, value in _sampling_state(model):
        if not value.is_floating_point():
            if name.endswith("perm_inv"):
                permutations.append(value.tolist())
            continue
        numbers = value.double().numpy()
        largest = float(np.abs(numbers).max())
        step = float(np.float32(largest / (levels if value.ndim == 2 else _FINE))) or 1.0
        whole.append(np.rint(numbers / step).astype(np.int64).ravel())
        tensors.append([name, list(value.shape), step])
    joined = np.concatenate(whole)
    # Signs in the last bit, and the high bytes, nearly all of them zero, behind the low ones.
    folded = np.where(joined >= 0, 2 * joined, -2 * joined - 1).astype("<u2")
    planes = np.concatenate([folded & 255, folded >> 8]).astype(np.uint8).tobytes()
    config = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in vars(model.config).items()
    }
    facts: dict[str, Any] = {"model": model.name, "config": config, "latent": model.config.latent}
    if isinstance(model, ScaledNetwork):
        facts |= {
            "stretchScale": model.features.stretch_scale,
            "lateralScale": model.features.lateral_scale,
            "tcpStep": model.tcp_step,
            "linearisationError": model.linearisation_error,
        }
    if permutations:
        facts["permutations"] = permutations
    facts |= {"tensors": tensors, "data": base64.b64encode(zlib.compress(planes, 9)).decode()}
    return _script("weights", f"{model.name}-{model.arm.dof:02d}", facts)


def unpacked(script: str) -> NetworkSampler:
    """The model in a script of `packed`, with the weights that a browser samples with.

    What sampling does without is not in there: the encoder of a cVAE is an untrained one.
    """
    facts = json.loads(script[script.index(" = ") + 3 : script.rindex(";")])
    planes = np.frombuffer(zlib.decompress(base64.b64decode(facts["data"])), np.uint8)
    low, high = planes.astype(np.int64).reshape(2, -1)
    folded = low + 256 * high
    whole = np.where(folded % 2, -(folded + 1) // 2, folded // 2)
    kind = model_type(facts["model"])
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in facts["config"].items()
    }
    model = kind(kind.config_type(**settings)).eval()
    values, start = {}, 0
    for name, shape, step in facts["tensors"]:
        count = int(np.prod(shape))
        numbers = torch.from_numpy(whole[start : start + count] * step)
        values[name] = numbers.reshape(shape).float()
        start += count
    model.load_state_dict(values, strict=False)
    return model


def export(book: Path | None = None) -> None:
    """Write the scripts of the playground, and a table that compares them with published weights.

    Args:
        book: Folder of the book; by default the checkout's.
    """
    book = book or project_root() / "book"
    arms = [PlanarArm.paper(dof) for dof in PlanarArm.PAPER_DOF]
    looks = {name: {"label": LABELS[name], "colour": COLORS[name]} for name in SAMPLERS}
    facts = {"looks": looks, "arms": {str(arm.dof): _arm_facts(arm) for arm in arms}}
    write_text(book / _SCRIPTS / "arms.js", _script("facts", "", facts))
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(_HEADER)
    for name, levels in LEVELS.items():
        for arm in arms:
            model = load(name, arm.dof)
            script = packed(model, levels)
            path = book / _SCRIPTS / f"{name}-{arm.dof:02d}.js"
            write_text(path, script)
            cells = _compared(model, unpacked(script))
            size = f"{len(script.encode()) / 1000:,.0f}"
            rows.writerow([LABELS[name], arm.dof, size, *cells])
            print(f"{path.name}: {size} kB, {', '.join(cells)}", flush=True)
    write_text(book / "results" / "playground.csv", table.getvalue())


def _sampling_state(model: NetworkSampler) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers that sampling reads; of the cVAE, the decoder alone."""
    for name, value in model.state_dict().items():
        of_encoder = model.name == "cvae" and not name.startswith("decoder.")
        if model.samples_with(name) and not of_encoder:
            yield name, value.detach().cpu()


def _arm_facts(arm: PlanarArm) -> dict[str, Any]:
    profile = get_profile(PUBLISHED)
    tcp = profile_dataset(arm, profile).train[1]
    region = common_targets(arm, tcp)
    return {
        "lengths": arm.lengths,
        "sigma": arm.prior_sigma(profile.sigma_for(arm)),
        "reach": arm.reach,
        "innerRadius": arm.inner_radius,
        "target": [round(share * arm.reach, 3) for share in START],
        "region": {
            "share": round(region.share, 5),
            "bearings": np.round(region.bearings, 4).tolist(),
            "inner": np.round(region.inner, 4).tolist(),
            "outer": np.round(region.outer, 4).tolist(),
        },
    }


def _compared(published: NetworkSampler, compact: NetworkSampler) -> list[str]:
    """How samples of two sets of weights differ: cells of `_HEADER`'s last columns."""
    arm = published.arm
    generator = torch.Generator().manual_seed(0)
    sigma = torch.tensor(arm.prior_sigma(get_profile(PUBLISHED).sigma_for(arm)))
    tcp = arm.forward(sigma * torch.randn(_TARGETS, arm.dof, generator=generator))
    state = generator.get_state()
    theta = arm.wrapped(published.sample(tcp, _SAMPLES, generator=generator))
    other = arm.wrapped(compact.sample(tcp, _SAMPLES, generator=generator))
    same = compact.sample(tcp, _SAMPLES, generator=generator.set_state(state))
    tests = [
        two_sample_test(a, b, permutations=_PERMUTATIONS, generator=generator)
        for a, b in zip(theta, other, strict=True)
    ]
    angles = arm.wrapped(theta - same).abs().amax(dim=2).quantile(0.99)
    mmd2 = sum(test.mmd2 for test in tests) / len(tests)
    rejected = sum(test.p_value <= 0.05 for test in tests) / len(tests)
    before, after = (float(resimulation_error(arm, s, tcp).mean()) for s in (theta, same))
    return [
        significant(float(angles), 2),
        f"{fixed(1e5 * mmd2, 1)} ({percent(rejected, 0)})",
        f"{significant(after)} ({significant(before)})",
    ]


def _script(place: str, name: str, facts: Mapping[str, Any]) -> str:
    """A classic script that leaves `facts` in the page's namespace."""
    target = f"ikPlayground.{place}" + (f'["{name}"]' if name else "")
    values = json.dumps(facts, separators=(",", ":"), ensure_ascii=False)
    return f"// Made by 'ikpaper playground' from the published weights.\n{target} = {values};\n"
