// Runs the model's graphs in a thread of its own, so that the page never stalls.

import * as ort from "./runtime/ort.js";

// One thread: more would need HTTP headers that simple servers cannot send.
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

let sessions = {};

const tasks = {
  /** Open the graphs, from their files by name. */
  async open({ wasm, graphs }) {
    ort.env.wasm.wasmBinary = wasm;
    for (const [name, content] of Object.entries(graphs)) {
      sessions[name] = await ort.InferenceSession.create(new Uint8Array(content));
    }
  },

  /** What a graph makes of rows: its output, and the shape of that. */
  async run({ graph, rows, shape, scalars = {} }) {
    const session = sessions[graph];
    const [first] = session.inputNames;
    const feeds = { [first]: new ort.Tensor("float32", rows, shape) };
    for (const [name, value] of Object.entries(scalars)) {
      feeds[name] = new ort.Tensor("float32", Float32Array.of(value), []);
    }
    const output = (await session.run(feeds))[session.outputNames[0]];
    return { values: output.data, shape: output.dims };
  },

  /** Pictures of rows, as RGBA, one after the other. */
  async draw(job) {
    const { values, shape } = await tasks.run(job);
    const pixels = new Uint8ClampedArray((values.length / 3) * 4).fill(255);
    for (let from = 0, to = 0; from < values.length; from += 3, to += 4) {
      for (let channel = 0; channel < 3; channel++) {
        // In float32, as NumPy does; the array rounds halves to even numbers, and clips.
        pixels[to + channel] = Math.fround(Math.fround(values[from + channel] + 1) * 127.5);
      }
    }
    return { pixels, height: shape[1], width: shape[2] };
  },
};

onmessage = async ({ data: { task, ...job } }) => {
  try {
    postMessage({ result: await tasks[task](job) });
  } catch (error) {
    postMessage({ error: String(error?.message ?? error) });
  }
};
