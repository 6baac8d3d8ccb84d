// The page: controls, the target that is dragged, and the numbers beside the arms.
(function (pg) {
  "use strict";

  const SEED = 1;
  // Of a frame of 16 ms, what computing may take.
  const BUDGET = 9;
  // A press of an arrow key, in reaches; with Shift, the larger one.
  const STEP = 0.01, LEAP = 0.05;
  const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};

  const root = document.getElementById("ik-playground");
  const folder = document.currentScript.src.replace(/\/[^/]*$/, "/weights");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);

  const superscript = (whole) =>
    String(whole).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(c)]);

  /** Two digits, or powers of ten for what is small. */
  function short(value) {
    if (value === 0) return "0";
    const exponent = Math.floor(Math.log10(value));
    if (exponent >= -3) return Number(value.toPrecision(2)).toString();
    const digits = Number((value / 10 ** exponent).toFixed(1));
    return `${digits}\u00a0·\u00a010${superscript(exponent)}`;
  }

  const state = {sampler: null, arm: null, target: [0, 0], seed: SEED, request: 0, painting: false};
  const arms = new pg.ArmsView(part("arms")), tcps = new pg.TcpView(part("tcps"));

  const name = () => part("sampler").value;
  const colour = () => pg.facts.looks[name()].colour;

  function fill(select, options) {
    for (const [value, label] of options) select.add(new Option(label, value));
  }

  /** Load and start what the controls say. */
  async function choose() {
    const request = ++state.request;
    const arm = new pg.Arm(pg.facts.arms[part("joints").value]);
    if (!state.arm || state.arm.dof !== arm.dof) state.target = arm.target;
    Object.assign(state, {arm, sampler: null});
    root.dataset.state = "loading";
    say("Loading …");
    repaint();
    try {
      const n = Number(part("count").value);
      const sampler = await pg.makeSampler(name(), arm, n, state.seed, folder);
      if (request !== state.request) return;
      state.sampler = sampler;
      aim(...state.target);
    } catch (error) {
      if (request !== state.request) return;
      root.dataset.state = "failed";
      say(`${error.message}.`);
    }
  }

  function aim(x, y) {
    state.target = arms.clamped(state.arm, x, y);
    const [u, v] = state.target;
    state.reachable = state.arm.reaches(u, v);
    if (state.sampler && state.reachable) state.sampler.aim(u, v);
    root.dataset.state = state.sampler ? "drawing" : root.dataset.state;
    repaint();
  }

  function repaint() {
    if (state.painting) return;
    state.painting = true;
    requestAnimationFrame(frame);
  }

  function frame() {
    state.painting = false;
    const {sampler, arm, target, reachable} = state;
    if (sampler && reachable) sampler.work(BUDGET);
    const shown = sampler && reachable ? sampler.theta : [];
    arms.paint(arm, shown, target, colour());
    const settled = sampler && (!reachable || sampler.settled);
    report(shown, settled);
    if (settled) root.dataset.state = "settled";
    else if (sampler) repaint();
  }

  /** The numbers, and the message once the arms are those of the target. */
  function report(shown, settled) {
    const {arm, target: [x, y], sampler, reachable} = state;
    const places = new Float64Array(2 * arm.dof + 2);
    const misses = shown.map((theta) => {
      arm.positions(theta, 1, 0, places);
      return [places[2 * arm.dof] - x, places[2 * arm.dof + 1] - y];
    });
    const ring = tcps.paint(misses, arm.reach, colour());
    part("ring").textContent = ring ? `ring: ${short(ring)} units of length` : "";
    const radius = Math.hypot(x, y);
    part("target").textContent = `${x.toFixed(2)}, ${y.toFixed(2)}`.replace(/-/g, "−");
    const share = (100 * radius / arm.reach).toFixed(1);
    part("radius").textContent = `${radius.toFixed(2)} of ${arm.reach.toFixed(2)} (${share}\u00a0%)`;
    const distances = misses.map(([u, v]) => Math.hypot(u, v)).sort((a, b) => a - b);
    for (const [place, share] of [["miss", 0.5], ["far", 0.97]]) {
      const distance = distances[Math.floor(share * (distances.length - 1))];
      part(place).textContent = !distances.length ? "–"
        : distance < 1e-12 ? "0 (to rounding)"
          : `${short(distance)} (${short(100 * distance / arm.reach)}\u00a0% of the reach)`;
    }
    if (!settled) return;
    const drawn = reachable && shown.length;
    part("time").textContent = drawn
      ? `${short(sampler.milliseconds)} ms for ${shown.length} arms`
        + ` (${short(sampler.milliseconds / shown.length)} ms each)` : "–";
    const ess = drawn && sampler.ess;
    part("ess").textContent = ess ? Math.round(ess).toLocaleString("en") : "–";
    say(message());
  }

  function message() {
    const {arm, target: [x, y], sampler, reachable} = state, label = pg.facts.looks[name()].label;
    if (!reachable)
      return `Out of reach: the target is ${Math.hypot(x, y).toFixed(2)} from the base, and the `
        + `arm ends at ${arm.reach.toFixed(2)}. No joint angles reach it.`;
    const common = arm.isCommon(x, y), why = name() in pg.models
      ? "the network has hardly been trained there" : "the prior seldom leads there";
    const share = `${(100 * arm.region.share).toFixed(1)}\u00a0%`;
    const place = common ? ""
      : ` Outside of the grey region, which holds ${share} of the training targets: ${why}.`;
    if (name() === "exact" && !sampler.complete)
      return `Too few: ${sampler.theta.length} arms of ${sampler.n}, since the weighted proposals `
        + `are worth ${Math.round(sampler.ess)} samples after all attempts.${place}`;
    const kind = name() === "prior" ? "The prior does not look at the target."
      : `${sampler.theta.length} arms drawn by: ${label}.`;
    return kind + place;
  }

  /** Text for the eye and for screen readers, which hear a text that changes. */
  function say(text) {
    if (part("status").textContent !== text) part("status").textContent = text;
    part("status").dataset.warning = /Out of|Too few|Outside|Could not|too old/.test(text);
  }

  function listen() {
    const canvas = part("arms");
    const move = (event) => {
      const box = canvas.getBoundingClientRect();
      aim(...arms.target(state.arm, event.clientX - box.left, event.clientY - box.top));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) move(event);
    });
    canvas.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const step = (event.shiftKey ? LEAP : STEP) * state.arm.reach, [x, y] = state.target;
      aim(x + step * arrow[0], y + step * arrow[1]);
    });
    for (const control of ["sampler", "joints", "count"])
      part(control).addEventListener("change", choose);
    part("again").addEventListener("click", () => {
      state.seed += 1;
      choose();
    });
    part("reset").addEventListener("click", () => aim(...state.arm.target));
    new ResizeObserver(repaint).observe(canvas);
    new MutationObserver(repaint).observe(document.documentElement,
      {attributes: true, attributeFilter: ["data-theme"]});
  }

  fill(part("sampler"), Object.entries(pg.facts.looks).map(([key, look]) => [key, look.label]));
  fill(part("joints"), Object.keys(pg.facts.arms).map((dof) => [dof, `${dof} joints`]));
  part("sampler").value = "flow-fast";
  part("joints").value = "6";
  listen();
  choose();
})(window.ikPlayground);
