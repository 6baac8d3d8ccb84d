// What the page draws: n arms of one sampler, brought up to a target bit by bit between frames.
// aim(x, y) sets the target, advance() does a few milliseconds of work.
(function (pg) {
  "use strict";

  // Arms that are computed together: many are faster, few move more smoothly.
  const TOGETHER = 25;

  /** Base: n arms as rows of joint angles, and how many of them belong to the present target. */
  class Drawn {
    constructor(arm, n) {
      Object.assign(this, {arm, n, theta: [], milliseconds: 0});
      this.settled = true;
    }

    /** Work for about so many milliseconds; whether arms have changed. */
    work(budget) {
      const start = performance.now();
      let changed = false;
      while (!this.settled && performance.now() - start < budget)
        changed = this.timed() || changed;
      return changed;
    }

    timed() {
      const start = performance.now(), changed = this.advance();
      this.spent += performance.now() - start;
      if (this.settled) this.milliseconds = this.spent;
      return changed;
    }
  }

  class Network extends Drawn {
    constructor(arm, n, seed, model, latent) {
      super(arm, n);
      this.model = model;
      const random = new pg.Random(seed);
      this.groups = [];
      for (let first = 0; first < n; first += TOGETHER) {
        const count = Math.min(TOGETHER, n - first), z = new Float64Array(latent * count);
        for (let s = 0; s < count; s++)
          for (let j = 0; j < latent; j++) z[j * count + s] = random.normal();
        this.groups.push({first, count, z});
      }
      this.next = 0;
      this.left = 0;
      this.job = null;
    }

    aim(x, y) {
      Object.assign(this, {x, y, settled: false, left: this.groups.length, spent: 0});
    }

    advance() {
      if (!this.job) {
        const group = this.groups[this.next];
        this.job = {group, steps: this.model.decode(group.z, group.count, this.x, this.y)};
        this.job.target = [this.x, this.y];
      }
      const {value, done} = this.job.steps.next();
      if (!done) return false;
      const {first, count} = this.job.group, {dof} = this.arm;
      for (let s = 0; s < count; s++)
        this.theta[first + s] = Float64Array.from({length: dof}, (_, j) => value[j * count + s]);
      // A group that was begun for an earlier target takes another turn.
      const [x, y] = this.job.target;
      if (x === this.x && y === this.y) this.left -= 1;
      this.next = (this.next + 1) % this.groups.length;
      this.job = null;
      this.settled = this.left <= 0;
      return true;
    }
  }

  class Exact extends Drawn {
    constructor(arm, n, seed) {
      super(arm, n);
      this.seed = seed;
      this.pool = null;
    }

    aim(x, y) {
      // A pool that is begun is finished: else arms would wait until the target stands still.
      Object.assign(this, {x, y, settled: false});
      if (!this.pool) this.begin();
    }

    begin() {
      this.pool = new pg.ExactPool(this.arm, this.x, this.y, this.n, this.seed);
      this.spent = 0;
    }

    advance() {
      const {pool} = this;
      if (!pool.advance()) return false;
      this.theta = pool.sample();
      Object.assign(this, {ess: pool.ess, complete: pool.complete, pool: null});
      this.settled = pool.x === this.x && pool.y === this.y;
      if (!this.settled) this.begin();
      return true;
    }
  }

  class Prior extends Drawn {
    constructor(arm, n, seed) {
      super(arm, n);
      this.seed = seed;
    }

    aim() {
      Object.assign(this, {settled: false, spent: 0});
    }

    advance() {
      const random = new pg.Random(this.seed);
      this.theta = Array.from({length: this.n}, () =>
        Float64Array.from(this.arm.sigma, (sigma) => sigma * random.normal()));
      this.settled = true;
      return true;
    }
  }

  const loading = new Map(), models = new Map();

  /** Run a script of weights once; a promise. */
  function script(address) {
    if (!loading.has(address))
      loading.set(address, new Promise((resolve, reject) => {
        const node = document.createElement("script");
        node.src = address;
        node.onload = resolve;
        node.onerror = () => {
          loading.delete(address);
          reject(new Error(`Could not load ${address.split("/").pop()}`));
        };
        document.head.append(node);
      }));
    return loading.get(address);
  }

  /** The trained model of an arm, which is loaded when it is asked for; a promise. */
  pg.loadModel = async function (name, arm, folder) {
    const key = `${name}-${String(arm.dof).padStart(2, "0")}`;
    if (!models.has(key)) {
      await script(`${folder}/${key}.js`);
      const packed = pg.weights[key];
      const model = new pg.models[name](packed, await pg.unpack(packed), arm);
      models.set(key, {model, latent: packed.latent});
    }
    return models.get(key);
  };

  /** n arms of the sampler of that name; a promise. */
  pg.makeSampler = async function (name, arm, n, seed, folder) {
    if (name === "exact") return new Exact(arm, n, seed);
    if (name === "prior") return new Prior(arm, n, seed);
    const {model, latent} = await pg.loadModel(name, arm, folder);
    return new Network(arm, n, seed, model, latent);
  };
})((window.ikPlayground = window.ikPlayground || {}));
