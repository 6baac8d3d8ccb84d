"""The playground as a browser runs it from disk: `python -m tests.playground_browser [html-dir]`.

Not collected by pytest, as `tests.browser` is not. Numbers of the page are held against torch and
`ExactPosterior`; rates of frames are printed and decide nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from ikpaper.arm import PlanarArm
from ikpaper.metrics import two_sample_test
from ikpaper.report.playground import LEVELS, SAMPLERS, unpacked
from ikpaper.samplers import ExactPosterior
from tests.browser import NARROW, OVERFLOW, ROOT, WIDE, launched, once_settled, watch

#: Targets in reaches: among the training data, on the other side, and outside of them.
TARGETS = ((0.9, 0.25), (0.8, -0.4), (0.3, 0.5))
LATENTS = 24
#: Largest difference of an angle, in radians, and samples for the comparison with Python.
TOLERANCE, SAMPLES = 1e-4, 400

DECODE = """
async ([name, dof, z, targets]) => {
  const pg = ikPlayground, arm = new pg.Arm(pg.facts.arms[dof]);
  const folder = new URL("playground/weights", location).href;
  const {model} = await pg.loadModel(name, arm, folder);
  return targets.map(([x, y]) => {
    const steps = model.decode(Float64Array.from(z.flat()), z[0].length, x, y);
    let step;
    do step = steps.next(); while (!step.done);
    return Array.from(step.value);
  });
}
"""

EXACT = """
([dof, x, y, n]) => {
  const pool = new ikPlayground.ExactPool(new ikPlayground.Arm(ikPlayground.facts.arms[dof]),
    x, y, n, 7);
  while (!pool.advance());
  return {theta: pool.sample().map(point => Array.from(point)), complete: pool.complete,
          proposals: pool.proposals, proposed: pool.components.length};
}
"""

#: Milliseconds between frames while the target moves along an arc, one step a frame.
FRAMES = """
async (frames) => {
  const canvas = document.querySelector('#ik-playground [data-part="arms"]');
  const box = canvas.getBoundingClientRect(), deltas = [];
  const event = (type, i) => canvas.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, bubbles: true,
    clientX: box.left + box.width * (0.82 + 0.09 * Math.cos(i / 9)),
    clientY: box.top + box.height * (0.5 + 0.16 * Math.sin(i / 9))}));
  canvas.setPointerCapture = () => {};
  canvas.hasPointerCapture = () => true;
  event("pointerdown", 0);
  let before = await new Promise(requestAnimationFrame);
  for (let i = 1; i <= frames; i++) {
    event("pointermove", i);
    const now = await new Promise(requestAnimationFrame);
    deltas.push(now - before);
    before = now;
  }
  delete canvas.setPointerCapture;
  delete canvas.hasPointerCapture;
  return deltas;
}
"""


def main(argv: list[str] | None = None) -> int:
    """Check the page; 0 if there is no problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.playground_browser", description=__doc__)
    parser.add_argument("html", nargs="?", type=Path, default=ROOT / "book" / "_build" / "html")
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="keep pictures there")
    parser.add_argument("--frames", action="store_true", help="print all samplers' rates of frames")
    arguments = parser.parse_args(argv)
    page = arguments.html.resolve() / "playground.html"
    checks = {
        "loading": lambda tab: loading(tab, page),
        "as torch": as_torch,
        "as the exact sampler": as_exact,
        "dragging": dragging,
        "choices": choices,
        "looks": lambda tab: looks(tab, arguments.screenshots),
    }
    failed = []
    with launched(parser, arguments) as context:
        for name, check in checks.items():
            tab = context.new_page()
            found = watch(tab)
            tab.goto(page.as_uri())
            settle(tab)
            note, problems = check(tab)
            found += problems
            tab.close()
            print(f"playground, {name}: {note}" + "".join(f"\n  {p}" for p in found), flush=True)
            failed += found
        if arguments.frames:
            tab = context.new_page()
            tab.goto(page.as_uri())
            for sampler in SAMPLERS:
                for dof in (6, 10):
                    choose(tab, sampler=sampler, joints=str(dof))
                    print(f"{sampler}, {dof} joints: {frames(tab)}", flush=True)
    print(f"playground: {len(failed)} problems")
    return 1 if failed else 0


def part(tab: Any, name: str) -> Any:
    """An element of the playground."""
    return tab.locator(f'#ik-playground [data-part="{name}"]')


def settle(tab: Any) -> None:
    """Wait until the arms are those of the target."""
    tab.wait_for_selector('#ik-playground[data-state="settled"]')


def choose(tab: Any, **options: str) -> None:
    """Set controls and wait for the arms."""
    for name, value in options.items():
        part(tab, name).select_option(value)
        settle(tab)


def targets(arm: PlanarArm) -> list[list[float]]:
    """`TARGETS` of an arm, as float32 has them."""
    return (arm.reach * torch.tensor(TARGETS)).tolist()


def loading(tab: Any, page: Path) -> tuple[str, list[str]]:
    """Weights are loaded when they are chosen, and by this page alone."""
    loaded = tab.evaluate(
        "[...document.scripts].map(script => script.src.split('/').pop())"
        ".filter(name => /-\\d\\d\\.js$/.test(name))"
    )
    problems = [] if loaded == ["flow-fast-06.js"] else [f"loaded at first: {loaded}"]
    others = [other for other in page.parent.glob("*.html") if other != page]
    problems += [
        f"{other.name} loads scripts of the playground"
        for other in others
        if "playground/page.js" in other.read_text(encoding="utf-8")
    ]
    return f"{', '.join(loaded)}, and nothing on {len(others)} other pages", problems


def as_torch(tab: Any) -> tuple[str, list[str]]:
    """Same latents, same angles as torch computes with the same rounded weights."""
    worst, problems = 0.0, []
    folder = ROOT / "book" / "_extra" / "playground" / "weights"
    for name in LEVELS:
        for dof in PlanarArm.PAPER_DOF:
            model = unpacked((folder / f"{name}-{dof:02d}.js").read_text(encoding="utf-8"))
            generator = torch.Generator().manual_seed(dof)
            z = torch.randn(LATENTS, model.config.latent, generator=generator)
            where = targets(model.arm)
            there = tab.evaluate(DECODE, [name, dof, z.T.tolist(), where])
            for tcp, columns in zip(where, there, strict=True):
                with torch.no_grad():
                    here = model.decode(z, torch.tensor(tcp).expand(LATENTS, 2))
                theirs = torch.tensor(columns).reshape(dof, LATENTS).T
                difference = float((here - theirs).abs().max())
                worst = max(worst, difference)
                if not difference <= TOLERANCE:
                    problems.append(f"{name}, {dof} joints, {tcp}: angles differ by {difference:g}")
    return f"largest difference {worst:.1e} rad", problems


def as_exact(tab: Any) -> tuple[str, list[str]]:
    """Exact samples on the target, and distributed as those of Python."""
    smallest, problems = 1.0, []
    for dof in PlanarArm.PAPER_DOF:
        arm = PlanarArm.paper(dof)
        for number, tcp in enumerate(targets(arm)):
            found = tab.evaluate(EXACT, [dof, *tcp, SAMPLES])
            name = f"exact, {dof} joints, {tcp}"
            if not found["complete"]:
                problems.append(f"{name}: given up after {found['proposals']} proposals")
                continue
            theta = torch.tensor(found["theta"], dtype=torch.float64)
            miss = float((arm.forward(theta) - torch.tensor(tcp)).norm(dim=1).max())
            if not miss < 1e-9:
                problems.append(f"{name}: misses the target by {miss:g}")
            generator = torch.Generator().manual_seed(number)
            reference = ExactPosterior(arm).sample(tcp, SAMPLES, generator=generator)
            test = two_sample_test(theta, reference, generator=generator)
            smallest = min(smallest, test.p_value)
            # Seeds are fixed on both sides: no more often than once in a hundred sets of them.
            if test.p_value < 0.01 / (len(TARGETS) * len(PlanarArm.PAPER_DOF)):
                problems.append(f"{name}: MMD² {test.mmd2:.1e}, p = {test.p_value:g}")
    return f"smallest p-value {smallest:g}", problems


def dragging(tab: Any) -> tuple[str, list[str]]:
    """Pointer and keys move the target; out of reach and outside of the data it says so."""
    problems = []
    canvas = part(tab, "arms")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()

    def drag(x: float, y: float) -> str:
        """Drag to a point of the canvas, and read the message."""
        tab.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"])
        tab.mouse.down()
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        tab.mouse.up()
        settle(tab)
        return part(tab, "status").inner_text()

    before = part(tab, "target").inner_text()
    if "Out" in (message := drag(0.9, 0.46)):
        problems.append(f"a usual target: {message}")
    if (after := part(tab, "target").inner_text()) == before:
        problems.append("dragging left the target where it was")
    canvas.focus()
    tab.keyboard.press("ArrowUp")
    settle(tab)
    x, y = (float(number) for number in after.split(", "))
    moved = [float(number) for number in part(tab, "target").inner_text().split(", ")]
    if not (abs(moved[0] - x) < 0.011 and 0.01 < moved[1] - y < 0.06):
        problems.append(f"ArrowUp took the target from {after} to {moved}")
    if "Out of reach" not in (message := drag(0.99, 0.02)):
        problems.append(f"a target out of reach: {message}")
    if part(tab, "miss").inner_text() != "–":
        problems.append("arms are drawn that do not reach")
    if "Outside" not in (message := drag(0.3, 0.3)):
        problems.append(f"a target outside of the training data: {message}")
    part(tab, "reset").click()
    settle(tab)
    if part(tab, "target").inner_text() != before:
        problems.append("the target is not where it was at first")
    return frames(tab), problems


def frames(tab: Any, count: int = 120) -> str:
    """How fast frames follow each other while the target is dragged."""
    deltas = sorted(tab.evaluate(FRAMES, count))
    settle(tab)
    mean = 1000 * len(deltas) / sum(deltas)
    late = deltas[int(0.95 * len(deltas))]
    return f"{mean:.0f} frames a second while dragging, 95 % within {late:.0f} ms"


def choices(tab: Any) -> tuple[str, list[str]]:
    """Every sampler of every arm draws; exact samples end at the target, others near it."""
    problems, misses = [], []
    for dof in PlanarArm.PAPER_DOF:
        choose(tab, joints=str(dof))
        for sampler in SAMPLERS:
            choose(tab, sampler=sampler)
            miss = part(tab, "miss").inner_text()
            misses.append(miss)
            if "ms" not in part(tab, "time").inner_text():
                problems.append(f"{sampler}, {dof} joints: no time")
            if ("to rounding" in miss) != (sampler == "exact"):
                problems.append(f"{sampler}, {dof} joints: a median miss of {miss}")
    choose(tab, count="400", sampler="exact", joints="4")
    if "400 arms" not in (message := part(tab, "status").inner_text()):
        problems.append(f"400 exact arms: {message}")
    return f"{len(misses)} samplers drawn", problems


def looks(tab: Any, screenshots: Path | None) -> tuple[str, list[str]]:
    """Nothing is wider than a phone; the canvas follows the colours of the page."""
    problems, grounds = [], []
    for mode in ("light", "dark"):
        tab.emulate_media(color_scheme=mode)
        tab.wait_for_function(f"document.documentElement.dataset.theme === '{mode}'")
        tab.wait_for_timeout(300)
        grounds.append(part(tab, "arms").screenshot())
        if screenshots:
            tab.screenshot(path=screenshots / f"playground-{mode}.png", full_page=True)
    if grounds[0] == grounds[1]:
        problems.append("the canvas looks the same in light and dark mode")
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size(NARROW)
    if overflow := once_settled(tab, lambda: tab.evaluate(OVERFLOW)):
        problems.append(overflow)
    width = part(tab, "arms").bounding_box()["width"]
    if width < 0.8 * NARROW["width"]:
        problems.append(f"the canvas is {width:.0f} px wide on a phone")
    if screenshots:
        tab.wait_for_timeout(1000)  # Side bars slide out.
        tab.screenshot(path=screenshots / "playground-narrow.png", full_page=True)
    tab.set_viewport_size(WIDE)
    return "light, dark, narrow", problems


if __name__ == "__main__":
    sys.exit(main())
