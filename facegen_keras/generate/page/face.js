// One face of a seed.

import { psiSlider, randomSeed, seedField } from "./controls.js";
import { download, enlarge, exact, newest, settled, thumbnail } from "./pictures.js";

const MORE = 12;

export function faceView(model, state, failed) {
  const canvas = document.getElementById("face-picture");
  const more = Array.from({ length: MORE }, () => thumbnail());
  let shown = null; // the picture, pixel for pixel
  let first = null; // seed of the first thumbnail

  const drawMore = settled(newest(async (start, psi) => {
    const seeds = Array.from({ length: MORE }, (_, i) => (start + i) % 2 ** 32);
    const inputs = (await model.pointsOf(seeds)).map((point) => model.input(point, psi));
    const images = await model.draw(inputs, { first: false });
    images.forEach((image, i) => more[i].show(image, `Seed ${seeds[i]}`));
  }, failed));

  const draw = newest(async (value, truncation) => {
    const [image] = await model.faces([value], truncation);
    shown = exact(image);
    enlarge(canvas, shown);
    canvas.dataset.seed = value;
    canvas.dataset.psi = truncation;
    canvas.setAttribute("aria-label", `Generated face of seed ${value}`);
  }, failed);

  const update = () => {
    const [value, truncation] = [seed.value, psi.value];
    draw(value, truncation);
    drawMore(first, truncation);
    document.getElementById("face-python").textContent = command(model, value, truncation);
    state.save({ seed: value, psi: truncation });
  };
  const seed = seedField("face-seed", state.seed ?? 7, (value) => {
    if (value < first || value >= first + MORE) first = value + 1;
    update();
  });
  const psi = psiSlider("face-psi", model, update);
  if (model.styled && state.psi !== undefined) psi.set(state.psi);
  first = seed.value + 1;

  more.forEach(({ button }, i) =>
    button.addEventListener("click", () => seed.set((first + i) % 2 ** 32)),
  );
  document.getElementById("face-more").append(...more.map(({ button }) => button));
  const view = {
    show: update,
    hide: () => {},
    open(value, truncation) {
      if (model.styled && truncation !== undefined) psi.set(truncation);
      seed.set(value);
    },
    previous: () => seed.set(seed.value - 1),
    next: () => seed.set(seed.value + 1),
    random: () => seed.set(randomSeed()),
    download: () => shown && download(shown, `${model.about.family}_seed${canvas.dataset.seed}`),
  };
  document.getElementById("face-before").addEventListener("click", view.previous);
  document.getElementById("face-after").addEventListener("click", view.next);
  document.getElementById("face-random").addEventListener("click", view.random);
  document.getElementById("face-download").addEventListener("click", view.download);
  return view;
}

/** How the package draws the same face. */
function command(model, seed, psi) {
  const truncation = model.styled && psi !== 1 ? ` --truncation_psi ${psi}` : "";
  return `facegen generate --model_path ${model.about.file} \\\n  --seeds ${seed}${truncation}`;
}
