// Drawing: the arms on one canvas, and where their TCPs end up, enlarged, on another.
(function (pg) {
  "use strict";

  // What the large canvas shows, in reaches: all of the grey region of every arm. Its width to its
  // height is that of the canvas in playground.css.
  const LEFT = -0.65, RIGHT = 1.078, HALF = 0.96;

  const ofTheme = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** A colour #rrggbb as a canvas takes it, lighter where the page is dark. */
  function shade(colour, alpha, dark) {
    const parts = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    const [r, g, b] = parts.map((part) => Math.round(dark ? part + 0.5 * (255 - part) : part));
    return `rgba(${r}, ${g}, ${b}, ${alpha})`;
  }

  /** A context in CSS pixels of a canvas that fills its box, and the size of that. */
  function fitted(canvas) {
    const {clientWidth: width, clientHeight: height} = canvas, ratio = window.devicePixelRatio || 1;
    const wide = Math.round(width * ratio), high = Math.round(height * ratio);
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.lineJoin = context.lineCap = "round";
    context.setLineDash([]);
    return {context, width, height};
  }

  const theme = () => ({
    dark: document.documentElement.dataset.theme === "dark",
    ink: ofTheme("--pst-color-text-base") || "#22303c",
    muted: ofTheme("--pst-color-text-muted") || "#5f6b76",
    ground: ofTheme("--pst-color-background") || "#ffffff",
  });

  function ring(context, x, y, radius) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }

  pg.ArmsView = class {
    constructor(canvas) {
      this.canvas = canvas;
    }

    scale(arm) {
      return this.canvas.clientWidth / ((RIGHT - LEFT) * arm.reach);
    }

    /** The target at a point of the canvas, in CSS pixels. */
    target(arm, left, top) {
      const scale = this.scale(arm);
      return [left / scale + LEFT * arm.reach, HALF * arm.reach - top / scale];
    }

    /** The nearest target that the canvas shows. */
    clamped(arm, x, y) {
      const within = (value, low, high) => Math.min(high, Math.max(low, value));
      const margin = 0.03;
      return [within(x, (LEFT + margin) * arm.reach, (RIGHT - margin) * arm.reach),
        within(y, -(HALF - margin) * arm.reach, (HALF - margin) * arm.reach)];
    }

    /** @param {Float64Array[]} theta Joint angles of the arms; empty where none is drawn. */
    paint(arm, theta, [x, y], colour) {
      const {context, width} = fitted(this.canvas), {dark, ink, muted, ground} = theme();
      const scale = width / ((RIGHT - LEFT) * arm.reach);
      const left = (value) => (value - LEFT * arm.reach) * scale;
      const top = (value) => (HALF * arm.reach - value) * scale;

      // The reach, and where the training targets are.
      context.strokeStyle = muted;
      context.lineWidth = 1;
      context.setLineDash([5, 5]);
      ring(context, left(0), top(0), arm.reach * scale);
      context.stroke();
      context.setLineDash([]);
      const {bearings, inner, outer} = arm.region;
      const sides = [...bearings.map((_, i) => [-1, bearings.length - 1 - i]),
        ...bearings.map((_, i) => [1, i])];
      context.beginPath();
      for (const radii of [outer, inner]) {
        for (const [side, i] of radii === outer ? sides : sides.reverse())
          context.lineTo(left(radii[i] * Math.cos(side * bearings[i])),
            top(radii[i] * Math.sin(side * bearings[i])));
      }
      context.closePath();
      context.globalAlpha = dark ? 0.16 : 0.1;
      context.fillStyle = ink;
      context.fill();
      context.globalAlpha = 1;

      const places = new Float64Array(2 * arm.dof + 2);
      const path = (angles) => {
        arm.positions(angles, 1, 0, places);
        context.beginPath();
        for (let j = 0; j <= arm.dof; j++)
          context.lineTo(left(places[2 * j]), top(places[2 * j + 1]));
        context.stroke();
      };
      context.lineWidth = 1.5;
      context.strokeStyle = shade(colour, Math.min(0.5, Math.max(0.12, 22 / theta.length)), dark);
      for (const angles of theta) path(angles);
      // One of them, and its joints.
      if (theta.length) {
        context.strokeStyle = shade(colour, 1, dark);
        context.fillStyle = ground;
        context.lineWidth = 3;
        path(theta[0]);
        for (let j = 1; j < arm.dof; j++) {
          ring(context, left(places[2 * j]), top(places[2 * j + 1]), 4);
          context.fill();
          context.stroke();
        }
      }
      context.fillStyle = ink;
      ring(context, left(0), top(0), 6);
      context.fill();

      ring(context, left(x), top(y), 11);
      context.lineWidth = 5;
      context.strokeStyle = ground;
      context.stroke();
      context.lineWidth = 2.5;
      context.strokeStyle = ink;
      context.stroke();
      ring(context, left(x), top(y), 2);
      context.fill();
    }
  };

  /** The next larger of 1, 2 and 5 times a power of ten. */
  function rounded(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].find((digit) => digit * power >= value * (1 - 1e-9)) * power;
  }

  pg.TcpView = class {
    constructor(canvas) {
      this.canvas = canvas;
    }

    /**
     * @param {number[][]} misses TCP less target, a pair each.
     * @param {number} reach The least radius shown is a share of it.
     * @returns {?number} Radius of the ring that is drawn, in units of length.
     */
    paint(misses, reach, colour) {
      const {context, width, height} = fitted(this.canvas), {dark, ink, muted} = theme();
      const [x, y] = [width / 2, height / 2];
      context.strokeStyle = muted;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x - 8, y);
      context.lineTo(x + 8, y);
      context.moveTo(x, y - 8);
      context.lineTo(x, y + 8);
      context.stroke();
      if (!misses.length) return null;
      const distances = misses.map(([u, v]) => Math.hypot(u, v)).sort((a, b) => a - b);
      const most = distances[Math.floor(0.97 * (distances.length - 1))];
      const radius = rounded(Math.max(most, 1e-6 * reach));
      const scale = 0.44 * Math.min(width, height) / radius;
      context.setLineDash([4, 4]);
      ring(context, x, y, radius * scale);
      context.stroke();
      context.setLineDash([]);
      context.fillStyle = shade(colour, 0.6, dark);
      for (const [u, v] of misses) {
        ring(context, x + u * scale, y - v * scale, 2.2);
        context.fill();
      }
      context.fillStyle = ink;
      return radius;
    }
  };
})((window.ikPlayground = window.ikPlayground || {}));
