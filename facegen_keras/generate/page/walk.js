// A walk between the faces of two seeds.

import { psiSlider, randomSeed, seedField, slider } from "./controls.js";
import { download, enlarge, exact, newest, thumbnail } from "./pictures.js";

const STEPS = 32;
const STOPS = 6; // thumbnails
const SECONDS = 4; // from one face to the other

export function walkView(model, failed) {
  const canvas = document.getElementById("walk-picture");
  const button = document.getElementById("walk-play");
  const stops = Array.from({ length: STOPS }, () => thumbnail());
  let frames = []; // by step, once drawn
  let shown = null;
  let playing = false;

  /** The frames of some steps, drawn if they are not yet there. */
  async function framesOf(steps, how = {}) {
    const kept = frames; // another walk may begin while this one is drawn
    const missing = steps.filter((step) => !kept[step]);
    if (missing.length) {
      const [start, end] = await model.pointsOf([from.value, to.value]);
      const inputs = missing.map((step) =>
        model.input(model.between(start, end, step / STEPS), psi.value),
      );
      const images = await model.draw(inputs, how);
      missing.forEach((step, i) => (kept[step] = exact(images[i])));
    }
    return steps.map((step) => kept[step]);
  }

  const draw = newest(async (step) => {
    [shown] = await framesOf([step]);
    enlarge(canvas, shown);
    const percent = Math.round((100 * step) / STEPS);
    canvas.setAttribute(
      "aria-label",
      `Generated face, ${percent} % of the way from seed ${from.value} to seed ${to.value}`,
    );
  }, failed);

  const drawStops = newest(async () => {
    const steps = stops.map((_, i) => Math.round((i * STEPS) / (STOPS - 1)));
    const pictures = await framesOf(steps, { first: false });
    pictures.forEach((picture, i) => {
      const image = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
      stops[i].show(image, `${Math.round((100 * steps[i]) / STEPS)} % of the way`);
    });
  }, failed);

  const begin = () => {
    frames = [];
    draw(position.value);
    drawStops();
  };
  const from = seedField("walk-from", 7, begin);
  const to = seedField("walk-to", 12, begin);
  const psi = psiSlider("walk-psi", model, begin);
  const position = slider(
    "walk-position",
    STEPS / 2,
    (step) => `${Math.round((100 * step) / STEPS)} %`,
    (step) => {
      pause();
      draw(step);
    },
  );
  stops.forEach((stop, i) =>
    stop.button.addEventListener("click", () => {
      pause();
      position.set(Math.round((i * STEPS) / (STOPS - 1)));
      draw(position.value);
    }),
  );
  document.getElementById("walk-strip").append(...stops.map((stop) => stop.button));

  function pause() {
    playing = false;
    button.textContent = "Play";
  }

  /** There and back, at an even pace, or as fast as the frames can be drawn. */
  async function play() {
    if (playing) return pause();
    playing = true;
    button.textContent = "Pause";
    let direction = position.value === STEPS ? -1 : 1;
    try {
      while (playing) {
        const due = new Promise((resolve) => setTimeout(resolve, (1000 * SECONDS) / STEPS));
        const next = position.value + direction;
        await Promise.all([framesOf([next]), due]);
        if (!playing) return;
        position.set(next);
        draw(next);
        if (next === 0 || next === STEPS) direction = -direction;
        await new Promise(requestAnimationFrame); // waits while the page is not to be seen
      }
    } catch (error) {
      pause();
      failed(error);
    }
  }

  const move = (step) => {
    pause();
    position.set(Math.min(STEPS, Math.max(0, position.value + step)));
    draw(position.value);
  };
  const view = {
    show: begin,
    hide: pause,
    previous: () => move(-1),
    next: () => move(1),
    play,
    random() {
      from.set(randomSeed());
      to.set(randomSeed());
    },
    download: () => shown && download(shown, `${model.about.family}_${from.value}_to_${to.value}`),
  };
  button.addEventListener("click", play);
  document.getElementById("walk-random").addEventListener("click", view.random);
  document.getElementById("walk-download").addEventListener("click", view.download);
  return view;
}
