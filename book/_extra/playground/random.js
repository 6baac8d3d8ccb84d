// Random numbers from a seed, so that the same arms move when the target does.
(function (pg) {
  "use strict";

  pg.Random = class {
    /** @param {number} seed A whole number; equal seeds give equal numbers. */
    constructor(seed) {
      this.state = seed >>> 0;
      this.spare = NaN;
    }

    /** Uniform on (0, 1), by mulberry32. */
    uniform() {
      this.state = (this.state + 0x6d2b79f5) >>> 0;
      let t = this.state;
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    }

    /** Standard normal, by Box and Muller. */
    normal() {
      if (this.spare === this.spare) {
        const spare = this.spare;
        this.spare = NaN;
        return spare;
      }
      const radius = Math.sqrt(-2 * Math.log(this.uniform()));
      const angle = 2 * Math.PI * this.uniform();
      this.spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    }
  };
})((window.ikPlayground = window.ikPlayground || {}));
