// Weights out of their scripts, and linear layers. Weights that were rounded to zero cost nothing.
(function (pg) {
  "use strict";

  // Scripts of weights put themselves here when they are loaded.
  pg.weights = {};

  /** Weights by name, {shape, values}, of what `ikpaper playground` packed. */
  pg.unpack = async function (packed) {
    if (typeof DecompressionStream === "undefined")
      throw new Error("This browser is too old for the compressed weights of the networks");
    const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const planes = new Uint8Array(await new Response(inflated).arrayBuffer());
    const high = planes.length / 2, tensors = {};
    let start = 0;
    for (const [name, shape, step] of packed.tensors) {
      const count = shape.reduce((product, size) => product * size, 1);
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) {
        const folded = planes[start + i] + 256 * planes[high + start + i];
        values[i] = Math.fround((folded & 1 ? -(folded + 1) / 2 : folded / 2) * step);
      }
      tensors[name] = {shape, values};
      start += count;
    }
    return tensors;
  };

  /** y = W x + b for n samples at once. */
  pg.Linear = class {
    constructor(tensors, name) {
      const {shape: [rows, columns], values} = tensors[name + ".weight"];
      this.rows = rows;
      this.columns = columns;
      this.bias = tensors[name + ".bias"].values;
      this.start = new Int32Array(rows + 1);
      const weights = [], index = [];
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++)
          if (values[i * columns + j] !== 0) {
            weights.push(values[i * columns + j]);
            index.push(j);
          }
        // `apply` takes eight at once.
        for (; weights.length % 8; index.push(0)) weights.push(0);
        this.start[i + 1] = weights.length;
      }
      this.weights = Float64Array.from(weights);
      this.index = Int32Array.from(index);
    }

    /** @param {Float64Array} x Columns of n; y gets this layer's. */
    apply(x, n, y) {
      const {start, weights, index, bias} = this;
      for (let i = 0; i < this.rows; i++) {
        const o = i * n;
        y.fill(bias[i], o, o + n);
        for (let p = start[i]; p < start[i + 1]; p += 8) {
          const w0 = weights[p], w1 = weights[p + 1], w2 = weights[p + 2], w3 = weights[p + 3];
          const w4 = weights[p + 4], w5 = weights[p + 5], w6 = weights[p + 6], w7 = weights[p + 7];
          const a0 = index[p] * n, a1 = index[p + 1] * n;
          const a2 = index[p + 2] * n, a3 = index[p + 3] * n;
          const a4 = index[p + 4] * n, a5 = index[p + 5] * n;
          const a6 = index[p + 6] * n, a7 = index[p + 7] * n;
          for (let s = 0; s < n; s++)
            y[o + s] += w0 * x[a0 + s] + w1 * x[a1 + s] + w2 * x[a2 + s] + w3 * x[a3 + s]
              + w4 * x[a4 + s] + w5 * x[a5 + s] + w6 * x[a6 + s] + w7 * x[a7 + s];
        }
      }
      return y;
    }
  };

  /** Linear layers with a LeakyReLU after each, or after all but the last. */
  pg.Chain = class {
    constructor(tensors, prefix, slope, activateLast) {
      this.slope = slope;
      this.layers = Object.keys(tensors)
        .filter((name) => name.startsWith(prefix) && name.endsWith(".weight"))
        .map((name) => name.slice(0, -".weight".length))
        .sort((a, b) => a.slice(prefix.length) - b.slice(prefix.length))
        .map((name) => new pg.Linear(tensors, name));
      this.activated = this.layers.length - (activateLast ? 0 : 1);
    }

    get inputs() {
      return this.layers[0].columns;
    }

    apply(x, n) {
      this.layers.forEach((layer, i) => {
        x = layer.apply(x, n, new Float64Array(layer.rows * n));
        if (i < this.activated)
          for (let p = 0; p < x.length; p++) if (x[p] < 0) x[p] *= this.slope;
      });
      return x;
    }
  };

  const silu = (x, out) => {
    for (let p = 0; p < x.length; p++) out[p] = x[p] / (1 + Math.exp(-x[p]));
    return out;
  };

  /** Linear layers of one width with SiLU, in residual blocks of two. */
  pg.Residual = class {
    constructor(tensors, blocks) {
      const layer = (name) => new pg.Linear(tensors, "network." + name);
      this.first = layer("first");
      this.blocks = Array.from({length: blocks}, (_, i) => [1, 3].map((k) =>
        layer(`blocks.${i}.${k}`)));
      this.last = layer("last.1");
    }

    apply(x, n) {
      const size = this.first.rows * n;
      const hidden = this.first.apply(x, n, new Float64Array(size));
      const active = new Float64Array(size), inner = new Float64Array(size);
      for (const [one, two] of this.blocks) {
        one.apply(silu(hidden, active), n, inner);
        two.apply(silu(inner, active), n, inner);
        for (let p = 0; p < size; p++) hidden[p] += inner[p];
      }
      return this.last.apply(silu(hidden, active), n, new Float64Array(this.last.rows * n));
    }
  };
})((window.ikPlayground = window.ikPlayground || {}));
