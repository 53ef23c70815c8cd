// 36 faces that walk on, each from its own seed to two others and back.

import { psiSlider, randomSeed, seedField } from "./controls.js";
import { download, fill, settled, sheet } from "./pictures.js";

const SIDE = 6;
const FACES = SIDE * SIDE;
const LEGS = 3;
const STEPS = 6; // pictures of a leg; between them, one fades into the next
const FRAMES = LEGS * STEPS;
const MILLISECONDS = 500; // from one picture to the next
const SIZE = 768; // of the canvas, in pixels
const MOST_PIXELS = 128; // of a face that is kept: 18 pictures of larger ones would fill the memory

export function gridView(model, state, failed, open) {
  const canvas = document.getElementById("grid-picture");
  const button = document.getElementById("grid-play");
  canvas.width = canvas.height = SIZE;
  let frames = []; // pictures of all faces, as far as they are drawn
  let whole = null; // the first of them, at its own size
  let from = 0; // seed of the first face in it
  let round = 0; // a new one makes what is being drawn out of date
  let visible = false;
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  let position = 0; // in frames

  /** Draw frame after frame, until the walk is round. */
  async function begin() {
    const [mine, first] = [++round, seed.value];
    const current = () => mine === round && visible;
    frames = [];
    position = 0;
    canvas.setAttribute("aria-label", `36 generated faces of the seeds from ${first} on`);
    try {
      const seeds = Array.from({ length: LEGS * FACES }, (_, i) => (first + i) % 2 ** 32);
      const points = await model.pointsOf(seeds);
      while (frames.length < FRAMES && current()) {
        const [leg, step] = [Math.floor(frames.length / STEPS), frames.length % STEPS];
        const inputs = Array.from({ length: FACES }, (_, i) => {
          const start = points[leg * FACES + i];
          const end = points[((leg + 1) % LEGS) * FACES + i];
          return model.input(model.between(start, end, step / STEPS), psi.value);
        });
        const images = await model.draw(inputs, { first: false, wanted: current });
        if (!current()) return;
        const picture = sheet(images, SIDE);
        if (!frames.length) [whole, from] = [picture, first];
        frames.push(smaller(picture));
        canvas.dataset.frames = frames.length;
        if (frames.length === 1) fill(canvas, frames[0]);
        while (!playing && current()) await new Promise((resolve) => setTimeout(resolve, 200));
      }
    } catch (error) {
      failed(error);
    }
  }

  /** Moves on with every picture of the screen, and waits where the next frame is not there. */
  let before = 0;
  let ticking = false;
  function tick(now) {
    ticking = visible;
    if (!visible) return;
    const passed = Math.min(100, now - before) / MILLISECONDS;
    before = now;
    const count = frames.length;
    if (playing && count > 1) {
      const complete = count === FRAMES;
      position = complete ? (position + passed) % FRAMES : Math.min(position + passed, count - 1);
      const [index, share] = [Math.floor(position), position % 1];
      fill(canvas, frames[index]);
      if (share) fill(canvas, frames[(index + 1) % count], share);
    }
    requestAnimationFrame(tick);
  }

  function play() {
    playing = !playing;
    button.textContent = playing ? "Pause" : "Play";
  }

  const again = settled(() => visible && begin());
  /** What is kept belongs to other faces now, also if the view is left before they are drawn. */
  const changed = () => {
    round += 1;
    frames = [];
    again();
  };
  const seed = seedField("grid-seed", 0, changed);
  const psi = psiSlider("grid-psi", model, changed);
  button.textContent = playing ? "Pause" : "Play";
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * SIDE);
    const row = Math.floor(((event.clientY - box.top) / box.height) * SIDE);
    const leg = Math.round(position / STEPS) % LEGS; // the seed that is nearest now
    open((from + leg * FACES + row * SIDE + column) % 2 ** 32, psi.value);
  });
  const view = {
    show() {
      visible = true;
      if (frames.length < FRAMES) begin();
      if (!ticking) requestAnimationFrame(tick);
      ticking = true;
    },
    hide: () => (visible = false),
    play,
    random: () => seed.set(randomSeed()),
    download: () => whole && download(whole, `${model.about.family}_seeds_from_${from}`),
  };
  button.addEventListener("click", play);
  document.getElementById("grid-random").addEventListener("click", view.random);
  document.getElementById("grid-download").addEventListener("click", view.download);
  return view;
}

function smaller(picture) {
  const most = SIDE * MOST_PIXELS;
  if (picture.width <= most) return picture;
  const canvas = new OffscreenCanvas(most, most);
  fill(canvas, picture);
  return canvas;
}
