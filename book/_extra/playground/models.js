// The learned samplers. `decode` is a generator: latents (columns of n) and a target in, joint
// angles out as its return value; it yields where the page may paint in between.
(function (pg) {
  "use strict";

  /** Values of this many columns of n, one after the other. */
  function joined(n, ...parts) {
    const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
    let start = 0;
    for (const part of parts) {
      all.set(part, start);
      start += part.length;
    }
    return all;
  }

  const constant = (n, ...values) => {
    const columns = new Float64Array(values.length * n);
    values.forEach((value, i) => columns.fill(value, i * n, (i + 1) * n));
    return columns;
  };

  class CVAE {
    constructor(packed, tensors) {
      this.decoder = new pg.Chain(tensors, "decoder.", 0, false);
    }

    *decode(z, n, x, y) {
      return this.decoder.apply(joined(n, z, constant(n, x, y)), n);
    }
  }

  class INN {
    constructor(packed, tensors) {
      const {config} = packed;
      this.clamp = config.clamp;
      this.permutations = packed.permutations;
      this.blocks = Array.from({length: config.coupling_layers}, (_, i) =>
        Object.fromEntries(["s1", "t1", "s2", "t2"].map((name) => [name, new pg.Chain(
          tensors, `blocks.module_list.${2 * i}.subnet_${name}.`, config.negative_slope,
          config.activate_last)])));
    }

    /** (v - t(u)) exp(-s(u)), the inverse of one half of a coupling block. */
    half(s, t, u, v, n) {
      const scale = s.apply(u, n), shift = t.apply(u, n);
      return v.map((value, p) =>
        (value - shift[p]) * Math.exp(-this.clamp * 0.636 * Math.atan(scale[p])));
    }

    *decode(z, n, x, y) {
      let values = joined(n, z, constant(n, x, y));
      for (let i = this.blocks.length - 1; i >= 0; i--) {
        const {s1, t1, s2, t2} = this.blocks[i];
        const split = s1.inputs * n;
        const first = values.slice(0, split);
        const second = this.half(s1, t1, first, values.slice(split), n);
        values = joined(n, this.half(s2, t2, second, first, n), second);
        if (i > 0)
          values = joined(n, ...this.permutations[i - 1].map((from) =>
            values.subarray(from * n, (from + 1) * n)));
        yield;
      }
      return values;
    }
  }

  // Inputs of the networks stay within so many times their scale.
  const BOUND = 5;
  const clamped = (value) => Math.min(BOUND, Math.max(-BOUND, value));

  /** What the flow and its distilled version share. */
  class Transport {
    constructor(packed, tensors, arm) {
      this.arm = arm;
      this.facts = packed;
      this.network = new pg.Residual(tensors, packed.config.blocks);
    }

    /** The target as the network sees it, with y >= 0. */
    features(n, x, y) {
      const {reach} = this.arm, {stretchScale, lateralScale} = this.facts;
      return constant(n, Math.atan2(y, x) * (reach / lateralScale),
        Math.sqrt(Math.max(reach - Math.hypot(x, y), 0) / stretchScale),
        (x - reach) / stretchScale + 1, y / lateralScale);
    }

    /** Steps and residuals as inputs of the network. */
    scaled(step, residual, spread, n) {
      const values = joined(n, step, residual.map((value) => value / this.facts.tcpStep));
      return values.map((value) => clamped(value / spread));
    }

    /** Joint angles of x, in units of sigma, for the side that the target is on. */
    angles(x, sign, n) {
      return x.map((value, p) => sign * this.arm.sigma[Math.floor(p / n)] * value);
    }
  }

  class FlowFast extends Transport {
    *decode(z, n, targetX, targetY) {
      const sign = targetY < 0 ? -1 : 1, y = Math.abs(targetY);
      const start = z.map((value) => sign * value);
      const step = new Float64Array(z.length), residual = new Float64Array(2 * n);
      this.arm.step(start, 1, n, targetX, y, this.facts.linearisationError ** 2, residual, step);
      const inputs = joined(n, start, this.scaled(step, residual, 1, n),
        this.features(n, targetX, y));
      const x = this.network.apply(inputs, n);
      for (let p = 0; p < x.length; p++) x[p] += start[p];
      for (let k = 0; k < this.facts.config.projections; k++) {
        this.arm.step(x, 1, n, targetX, y, null, residual, step);
        for (let p = 0; p < x.length; p++) x[p] -= step[p];
      }
      return this.angles(x, sign, n);
    }
  }

  class Flow extends Transport {
    constructor(packed, tensors, arm) {
      super(packed, tensors, arm);
      this.damping = Math.exp(tensors.log_damping.values[0]);
    }

    velocity(x, t, n, targetX, y, features) {
      const rest = 1 - t, q = t * t + rest * rest, variance = rest * rest / q;
      const spread = Math.sqrt(variance), {linearisationError, tcpStep} = this.facts;
      const damping = this.damping * (linearisationError * variance) ** 2 + 1e-6 * tcpStep ** 2;
      const step = new Float64Array(x.length), residual = new Float64Array(2 * n);
      this.arm.step(x, t / q, n, targetX, y, damping, residual, step);
      const time = constant(n, t, Math.cos(Math.PI * t), Math.sin(Math.PI * t),
        Math.cos(2 * Math.PI * t), Math.sin(2 * Math.PI * t));
      const inputs = joined(n, x, this.scaled(step, residual, spread + 1e-3, n), features, time);
      const learned = this.network.apply(inputs, n);
      return learned.map((value, p) =>
        (2 * t - 1) / q * x[p] - step[p] / rest + spread * value);
    }

    *decode(z, n, targetX, targetY) {
      const sign = targetY < 0 ? -1 : 1, y = Math.abs(targetY);
      const features = this.features(n, targetX, y), length = 1 / this.facts.config.steps;
      let x = z.map((value) => sign * value);
      for (let k = 0; k < this.facts.config.steps; k++) {
        const t = k * length;
        const begin = this.velocity(x, t, n, targetX, y, features);
        yield;
        const middle = x.map((value, p) => value + 0.5 * length * begin[p]);
        const then = this.velocity(middle, t + 0.5 * length, n, targetX, y, features);
        x = x.map((value, p) => value + length * then[p]);
        yield;
      }
      return this.angles(x, sign, n);
    }
  }

  /** Models by name. */
  pg.models = {"cvae": CVAE, "inn": INN, "flow": Flow, "flow-fast": FlowFast};
})((window.ikPlayground = window.ikPlayground || {}));
