// The exact posterior by importance sampling: all joints but the first and another one are
// proposed, those two close onto the target; see the page on the ground truth.
(function (pg) {
  "use strict";

  // Effective samples behind each sample, proposals at once, and those after which to give up.
  const OVERSAMPLING = 10, BATCH = 500, MOST = 200000;
  // Effective samples a proposal below which proposals around modes join those of the prior.
  const POOR = 0.05, ENOUGH = 4000;
  // Widths of proposals around a mode, in prior standard deviations: narrow ones as well where
  // less than this share of the reach is left, since the manifold shrinks there.
  const SCALES = [1, 0.25, 0.06, 0.015], NARROW = 0.01;
  // Of terms that differ by so much in their logs, the smaller one is lost to rounding.
  const NOTHING = 40;

  /** log(exp(a) + exp(b)) */
  function addedLogs(a, b) {
    const larger = Math.max(a, b), gap = Math.abs(a - b);
    return gap < NOTHING ? larger + Math.log1p(Math.exp(-gap)) : larger;
  }

  /** The pool of weighted points for one target, which grows by `advance`. */
  pg.ExactPool = class {
    /**
     * @param {pg.Arm} arm The arm.
     * @param {number} seed Equal seeds propose alike: samples change little with the target.
     */
    constructor(arm, x, y, wanted, seed) {
      Object.assign(this, {arm, x, y, wanted, seed});
      this.proposals = 0;
      this.components = [];
      this.addComponent(new Float64Array(arm.dof), 1);
      const {dof} = arm;
      this.theta = new Float64Array(dof);
      this.logQ = new Float64Array(dof);
      this.logMinor = new Float64Array(dof);
      this.places = new Float64Array(2 * dof + 2);
      // Where the training targets are, the prior alone is good enough at most of them.
      if (!arm.isCommon(x, y)) this.addModes();
      this.clear();
    }

    addModes() {
      const left = 1 - Math.hypot(this.x, this.y) / this.arm.reach;
      for (const mean of this.modes())
        for (const scale of left < NARROW ? SCALES : [1]) this.addComponent(mean, scale);
    }

    addComponent(mean, scale) {
      const widths = Float64Array.from(this.arm.sigma, (sigma) => scale * sigma);
      this.components.push({mean, widths, logWidths: widths.map(Math.log)});
    }

    clear() {
      this.random = new pg.Random(this.seed);
      this.points = [];
      this.logWeights = [];
      this.keys = [];
      this.since = 0;
      this.next = BATCH;
    }

    /** A batch of proposals; whether the pool is large enough, or no better can be hoped for. */
    advance() {
      for (let i = 0; i < BATCH; i++) this.propose();
      this.proposals += BATCH;
      this.since += BATCH;
      const last = this.proposals >= MOST;
      if (this.since < this.next && !last) return false;
      // Measured now and then: that takes time in proportion to the pool.
      this.next = 1.2 * this.since;
      this.measure();
      this.complete = this.ess >= OVERSAMPLING * this.wanted && this.most * this.wanted <= 1;
      if (this.complete || last) return true;
      if (this.since >= ENOUGH && this.ess < POOR * this.since && this.components.length === 1) {
        this.addModes();
        if (this.components.length > 1) this.clear();
      }
      return false;
    }

    propose() {
      const {arm, theta, random} = this, {dof, lengths} = arm;
      const {mean, widths} = this.components[Math.floor(random.uniform() * this.components.length)];
      const k = 1 + Math.floor(random.uniform() * (dof - 1)), key = random.uniform();
      for (let j = 0; j < dof; j++) theta[j] = mean[j] + widths[j] * random.normal();
      theta[0] = theta[k] = 0;
      // The chain before (a) and from (b) joint k on.
      let heading = 0, ax = 0, ay = 0, bx = 0, by = 0;
      for (let j = 0; j < dof; j++) {
        heading += theta[j];
        const x = lengths[j] * Math.cos(heading), y = lengths[j] * Math.sin(heading);
        if (j < k) { ax += x; ay += y; } else { bx += x; by += y; }
      }
      const a2 = ax * ax + ay * ay, b2 = bx * bx + by * by;
      const cosine = (this.x ** 2 + this.y ** 2 - a2 - b2) / (2 * Math.sqrt(a2 * b2));
      if (!(Math.abs(cosine) <= 1)) return;
      const turn = Math.atan2(ay, ax) - Math.atan2(by, bx), gamma = Math.acos(cosine);
      // Both elbows.
      for (const branch of [gamma, -gamma]) {
        theta[k] = pg.wrap(turn + branch);
        const c = Math.cos(theta[k]), s = Math.sin(theta[k]);
        const point = Math.atan2(ay + s * bx + c * by, ax + c * bx - s * by);
        theta[0] = pg.wrap(Math.atan2(this.y, this.x) - point);
        if (theta.every((angle) => Math.abs(angle) <= Math.PI)) {
          this.points.push(Float64Array.from(theta));
          this.logWeights.push(this.logWeight());
          this.keys.push(branch > 0 ? key : random.uniform());
        }
      }
    }

    /** Log of p / sum over q and k of |minor of joints 0 and k| q / (q_0 q_k). */
    logWeight() {
      const {arm, theta, logQ, logMinor} = this, {dof, sigma} = arm;
      const places = arm.positions(theta, 1, 0, this.places);
      let logPrior = 0, sum = -Infinity;
      for (let j = 0; j < dof; j++)
        logPrior -= 0.5 * (theta[j] / sigma[j]) ** 2 + Math.log(sigma[j]);
      for (let k = 1; k < dof; k++)
        logMinor[k] = Math.log(Math.abs(places[2 * k] * this.y - places[2 * k + 1] * this.x));
      for (const {mean, widths, logWidths} of this.components) {
        let all = 0, most = -Infinity;
        for (let j = 0; j < dof; j++) {
          const scaled = (theta[j] - mean[j]) / widths[j];
          logQ[j] = -0.5 * scaled * scaled - logWidths[j];
          all += logQ[j];
        }
        for (let k = 1; k < dof; k++) most = Math.max(most, logMinor[k] - logQ[0] - logQ[k]);
        if (all + most < sum - NOTHING) continue;
        let closing = 0;
        for (let k = 1; k < dof; k++) closing += Math.exp(logMinor[k] - logQ[0] - logQ[k] - most);
        sum = addedLogs(sum, all + most + Math.log(closing));
      }
      return logPrior - sum;
    }

    /** Effective sample size, and the largest weight as a share of all. */
    measure() {
      const largest = this.logWeights.reduce((a, b) => Math.max(a, b), -Infinity);
      let sum = 0, squares = 0;
      this.weights = this.logWeights.map((value) => Math.exp(value - largest));
      for (const weight of this.weights) {
        sum += weight;
        squares += weight * weight;
      }
      this.ess = sum ? sum * sum / squares : 0;
      this.most = sum ? 1 / sum : 1;
      this.sum = sum;
    }

    /**
     * Points without replacement, with probabilities in proportion to their weights: Pareto
     * sampling (Rosén, 1997). A point keeps its random number, and so its place, while weights
     * change a little; with many points behind each sample, it is as good as exact.
     */
    sample() {
      const count = this.complete ? this.wanted : Math.min(this.wanted, Math.floor(this.ess / 2));
      const odds = (share) => share / (1 - share);
      const ranked = this.points.map((point, i) => {
        const share = Math.min(1 - 1e-9, count * this.weights[i] / this.sum);
        return [share > 0 ? odds(this.keys[i]) / odds(share) : Infinity, point];
      });
      return ranked.sort((a, b) => a[0] - b[0]).slice(0, count).map(([, point]) => point);
    }

    /** Local maxima of the prior on the manifold. One that is missed costs samples alone. */
    modes() {
      const {arm} = this, {dof, sigma} = arm, random = new pg.Random(0), found = [];
      const starts = [-4, -2, 2, 4].map((curl) => new Float64Array(dof).fill(curl / dof));
      for (let i = 0; i < 6; i++)
        starts.push(Float64Array.from({length: dof}, () => 0.8 * random.normal()));
      const step = new Float64Array(dof), residual = new Float64Array(2);
      for (const start of starts) {
        const places = arm.positions(start, 1, 0, this.places);
        start[0] += Math.atan2(this.y, this.x) - Math.atan2(places[2 * dof + 1], places[2 * dof]);
        const x = start.map((angle, j) => angle / sigma[j]);
        for (let i = 0; i < 300; i++) {
          // Onto the manifold, and along it towards zero: x without its part across.
          arm.step(x, 1, 1, this.x, this.y, null, residual, step);
          for (let j = 0; j < dof; j++) x[j] -= step[j];
          this.across(x, step);
          for (let j = 0; j < dof; j++) x[j] -= 0.1 * (x[j] - step[j]);
        }
        for (let i = 0; i < 20; i++) {
          arm.step(x, 1, 1, this.x, this.y, null, residual, step);
          for (let j = 0; j < dof; j++) x[j] -= step[j];
        }
        const mean = x.map((value, j) => value * sigma[j]);
        const cost = x.reduce((sum, value) => sum + value * value / 2, 0);
        const near = (other) => other.mean.every((angle, j) => Math.abs(angle - mean[j]) < 0.05);
        const on = Math.hypot(...residual) < 1e-3 && mean.every((a) => Math.abs(a) <= Math.PI);
        if (on && !found.some(near)) found.push({mean, cost});
      }
      const best = Math.min(...found.map((mode) => mode.cost));
      return found.filter((mode) => mode.cost < best + 12).map((mode) => mode.mean);
    }

    /** The part of x that moves the TCP to first order: J^T (J J^T)^-1 J x. */
    across(x, out) {
      const {arm} = this, {dof, sigma} = arm;
      const places = arm.positions(x.map((value, j) => value * sigma[j]), 1, 0, this.places);
      const row = (j) => [-sigma[j] * (places[2 * dof + 1] - places[2 * j + 1]),
        sigma[j] * (places[2 * dof] - places[2 * j])];
      let a = 0, b = 0, c = 0, u = 0, v = 0;
      for (let j = 0; j < dof; j++) {
        const [p, q] = row(j);
        a += p * p; b += p * q; c += q * q;
        u += p * x[j]; v += q * x[j];
      }
      const determinant = a * c - b * b || Infinity;
      const f = (c * u - b * v) / determinant, g = (a * v - b * u) / determinant;
      for (let j = 0; j < dof; j++) {
        const [p, q] = row(j);
        out[j] = f * p + g * q;
      }
      return out;
    }
  };
})((window.ikPlayground = window.ikPlayground || {}));
