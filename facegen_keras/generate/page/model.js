// The model: latents of seeds, points to walk between, and pictures, drawn by a few workers.

import { latent, lerp, slerp } from "./latents.js";

const AT_A_TIME = 6; // pictures of one job: few enough to show progress
const PIXELS_AT_A_TIME = AT_A_TIME * 128 * 128; // bounds the memory at high resolutions
const MOST_WORKERS = 4;

/** A worker and whether it is busy. */
class Thread {
  constructor() {
    this.worker = new Worker("worker.js", { type: "module" });
    this.busy = false;
  }

  ask(message) {
    this.busy = true;
    return new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }) => {
        this.busy = false;
        if (data.error) reject(new Error(data.error));
        else resolve(data.result);
      };
      this.worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message || "a worker could not start"));
      };
      this.worker.postMessage(message);
    });
  }
}

export class Model {
  /**
   * Fetch and open the model.
   * @param {(share: number) => void} progress Told how much has arrived, from 0 to 1.
   */
  static async open(progress) {
    const about = await (await fetched("model.json")).json();
    const total = Object.values(about.sizes).reduce((sum, size) => sum + size, 0);
    let received = 0;
    const files = {};
    await Promise.all(
      Object.keys(about.sizes).map(async (name) => {
        files[name] = await content(await fetched(name), (bytes) => {
          received += bytes;
          progress(Math.min(1, received / total));
        });
      }),
    );
    const model = new Model(about, files);
    await model.#start();
    return model;
  }

  constructor(about, files) {
    this.about = about;
    this.styled = "layers" in about; // a StyleGAN2: its styles can be truncated and mixed
    this.files = files;
    this.threads = [];
    this.wanted = Math.min(MOST_WORKERS, Math.floor((navigator.hardwareConcurrency || 2) / 2));
    this.queue = [];
    this.points = new Map();
  }

  /** A first worker has all graphs; the others, which help with many pictures, only draw. */
  async #start() {
    const { "runtime/ort.wasm": wasm, ...files } = this.files;
    const drawing = this.styled ? ["synthesis"] : ["generator"];
    const names = this.threads.length || !this.styled ? drawing : ["mapping", ...drawing];
    const graphs = Object.fromEntries(names.map((name) => [name, files[`${name}.onnx`]]));
    const thread = new Thread();
    this.threads.push(thread);
    try {
      await thread.ask({ task: "open", wasm, graphs });
    } catch (error) {
      this.threads = this.threads.filter((other) => other !== thread);
      throw error;
    }
    this.#next();
  }

  #help() {
    while (this.threads.length < this.wanted) {
      this.#start().catch(() => {
        this.wanted = 1; // too little memory, say: those that are there go on
      });
    }
  }

  #submit(job, { first = true, thread = null, wanted = () => true } = {}) {
    return new Promise((resolve, reject) => {
      const entry = { job, thread, resolve, reject, first, wanted };
      const index = first ? this.queue.findIndex((other) => !other.first) : -1;
      this.queue.splice(index < 0 ? this.queue.length : index, 0, entry);
      this.#next();
    });
  }

  #next() {
    const dropped = this.queue.filter((entry) => !entry.wanted());
    this.queue = this.queue.filter((entry) => !dropped.includes(entry));
    for (const { resolve } of dropped) resolve(null);
    for (const thread of this.threads) {
      if (thread.busy) continue;
      const index = this.queue.findIndex((entry) => !entry.thread || entry.thread === thread);
      if (index < 0) continue;
      const [{ job, resolve, reject }] = this.queue.splice(index, 1);
      thread
        .ask(job)
        .then(resolve, reject)
        .finally(() => this.#next());
    }
  }

  /** Where the faces of seeds are: w of a StyleGAN2, z of the others. */
  async pointsOf(seeds) {
    const unknown = [...new Set(seeds)].filter((seed) => !this.points.has(seed));
    const length = this.about.latent_dim;
    const latents = unknown.map((seed) => latent(seed, length));
    if (!this.styled) unknown.forEach((seed, i) => this.points.set(seed, latents[i]));
    else if (unknown.length) {
      const w = await this.#mapped(latents, 1);
      this.average ??= (await this.#mapped(latents.slice(0, 1), 0))[0];
      unknown.forEach((seed, i) => this.points.set(seed, w[i]));
    }
    return seeds.map((seed) => this.points.get(seed));
  }

  async #mapped(latents, psi) {
    const job = {
      task: "run",
      graph: "mapping",
      rows: joined(latents),
      shape: [latents.length, this.about.latent_dim],
      scalars: { truncation_psi: psi },
    };
    const { values, shape } = await this.#submit(job, { thread: this.threads[0] });
    const size = shape[1] * shape[2]; // every layer has the same w here
    return latents.map((_, i) => values.slice(i * size, i * size + shape[2]));
  }

  /** A point between two; t from 0 to 1. */
  between(start, end, t) {
    return (this.styled ? lerp : slerp)(start, end, t);
  }

  /** What the network draws a point from; `other` takes over the layers of a StyleGAN2 in `layers`. */
  input(point, psi = 1, other = null, layers = []) {
    if (!this.styled) return point;
    const truncated = (w) =>
      psi === 1 ? w : w.map((value, i) => this.average[i] + psi * (value - this.average[i]));
    const [own, its] = [truncated(point), other && truncated(other)];
    return joined(
      Array.from({ length: this.about.layers }, (_, layer) => (layers.includes(layer) ? its : own)),
    );
  }

  /**
   * Pictures of what `input` returned.
   * @param {Float32Array[]} inputs
   * @param {{first?: boolean, wanted?: () => boolean}} how Before others that wait, or after them;
   *   whether they are still wanted when it is their turn.
   * @returns {Promise<ImageData[] | null>} null where they no longer are.
   */
  async draw(inputs, how = {}) {
    const most = Math.floor(PIXELS_AT_A_TIME / this.about.resolution ** 2);
    const size = Math.max(1, Math.min(AT_A_TIME, most));
    if (inputs.length > size) this.#help();
    const shape = this.styled ? [this.about.layers, this.about.w_dim] : [this.about.latent_dim];
    const jobs = [];
    for (let start = 0; start < inputs.length; start += size) {
      const part = inputs.slice(start, start + size);
      const job = { task: "draw", rows: joined(part), shape: [part.length, ...shape] };
      job.graph = this.styled ? "synthesis" : "generator";
      jobs.push(this.#submit(job, how));
    }
    const results = await Promise.all(jobs);
    if (results.includes(null)) return null;
    return results.flatMap(({ pixels, height, width }) => {
      const bytes = height * width * 4;
      return Array.from(
        { length: pixels.length / bytes },
        (_, i) => new ImageData(pixels.slice(i * bytes, (i + 1) * bytes), width, height),
      );
    });
  }

  /** The faces of seeds. */
  async faces(seeds, psi = 1) {
    const points = await this.pointsOf(seeds);
    return this.draw(points.map((point) => this.input(point, psi)));
  }
}

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer;
}

/** The bytes of an answer, told as they arrive. */
async function content(answer, arrived) {
  const chunks = [];
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(chunks).arrayBuffer();
    chunks.push(value);
    arrived(value.length);
  }
}

function joined(arrays) {
  const all = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let offset = 0;
  for (const array of arrays) {
    all.set(array, offset);
    offset += array.length;
  }
  return all;
}
