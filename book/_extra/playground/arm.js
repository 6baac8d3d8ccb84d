// A planar arm: kinematics, the damped step onto a target, and where training targets lie.
// Values of n samples are columns: quantity q of sample s stands at q * n + s.
(function (pg) {
  "use strict";

  // What rounding leaves of a singular matrix in single precision, in which the networks learned.
  const EPSILON = 2 ** -23;

  pg.wrap = (angle) => angle - 2 * Math.PI * Math.ceil(angle / (2 * Math.PI) - 0.5);

  pg.Arm = class {
    /** @param {object} facts Of one arm, as `ikpaper playground` writes them. */
    constructor(facts) {
      Object.assign(this, facts);
      this.dof = facts.lengths.length;
    }

    /** Joint positions of sample s, base and TCP included: x and y in turn. */
    positions(theta, n, s, out) {
      let heading = 0, x = 0, y = 0;
      out[0] = out[1] = 0;
      for (let j = 0; j < this.dof; j++) {
        heading += theta[j * n + s];
        x += this.lengths[j] * Math.cos(heading);
        y += this.lengths[j] * Math.sin(heading);
        out[2 * j + 2] = x;
        out[2 * j + 3] = y;
      }
      return out;
    }

    /**
     * Residuals f(theta) - tcp (2 columns) and damped Gauss-Newton steps (dof columns) of n
     * samples, in joint angles divided by sigma: J^T (J J^T + damping I)^-1 residual.
     *
     * @param {Float64Array} scaled Joint angles over sigma.
     * @param {number} factor Multiplies them first.
     * @param {?number} damping In squared units of length; null: the squared residual.
     */
    step(scaled, factor, n, x, y, damping, residual, step) {
      const {dof, lengths, sigma} = this;
      const widest = Math.max(...sigma) ** 2;
      const px = new Float64Array(dof + 1), py = new Float64Array(dof + 1);
      for (let s = 0; s < n; s++) {
        let heading = 0;
        for (let j = 0; j < dof; j++) {
          heading += sigma[j] * factor * scaled[j * n + s];
          px[j + 1] = px[j] + lengths[j] * Math.cos(heading);
          py[j + 1] = py[j] + lengths[j] * Math.sin(heading);
        }
        // Joint j moves the TCP across its lever, from the joint to the TCP.
        let a = 0, b = 0, c = 0;
        for (let j = 0; j < dof; j++) {
          const u = -sigma[j] * (py[dof] - py[j]), v = sigma[j] * (px[dof] - px[j]);
          a += u * u;
          b += u * v;
          c += v * v;
        }
        const rx = px[dof] - x, ry = py[dof] - y;
        const asked = damping === null ? widest * (rx * rx + ry * ry) : damping;
        const trace = a + c, d = Math.max(EPSILON * trace, asked);
        const determinant = Math.max((a + d) * (c + d) - b * b, d * (trace + d));
        const f = ((c + d) * rx - b * ry) / determinant;
        const g = ((a + d) * ry - b * rx) / determinant;
        for (let j = 0; j < dof; j++)
          step[j * n + s] = sigma[j] * (g * (px[dof] - px[j]) - f * (py[dof] - py[j]));
        residual[s] = rx;
        residual[n + s] = ry;
      }
    }

    /** Whether some joint angles reach a target, short of a single straight configuration. */
    reaches(x, y) {
      const radius = Math.hypot(x, y);
      return radius < this.reach * (1 - 1e-9) && radius > this.innerRadius;
    }

    /** Whether a target is where nearly all training targets are. */
    isCommon(x, y) {
      const {bearings, inner, outer} = this.region;
      const bearing = Math.abs(Math.atan2(y, x)), radius = Math.hypot(x, y);
      const last = bearings.length - 1;
      if (bearing > bearings[last]) return false;
      let i = 1;
      while (bearing > bearings[i]) i++;
      const share = (bearing - bearings[i - 1]) / (bearings[i] - bearings[i - 1]);
      const at = (radii) => radii[i - 1] + share * (radii[i] - radii[i - 1]);
      return radius >= at(inner) && radius <= at(outer);
    }
  };
})((window.ikPlayground = window.ikPlayground || {}));
