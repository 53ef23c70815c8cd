// Style mixing: each row's face with some styles of each column's (Karras et al. 2019, figure 3).

import { psiSlider, randomSeed } from "./controls.js";
import { download, newest, sheet, showTable } from "./pictures.js";

const COLUMNS = 4;
const ROWS = 3;
const GAP = 4; // pixels of the faces
const APART = 8; // between the faces that are mixed and the mixtures, added to it
const WIDTH = 960; // of the canvas, in pixels
// The last layer of each group, as a share of all; what its styles show.
const GROUPS = [
  ["Coarse", 0.4, "pose, shape, hair"],
  ["Middle", 0.7, "features, expression"],
  ["Fine", 1, "colours, light"],
];

export function mixView(model, failed) {
  const canvas = document.getElementById("mix-picture");
  const count = model.about.layers;
  const bounds = [0, ...GROUPS.map(([, share]) => Math.round(share * count))];
  const groups = GROUPS.map((_, i) => [bounds[i], bounds[i + 1] - 1]);
  let seeds = [40, 14, 7, 60, 12, 3, 25]; // of the columns, then of the rows
  let chosen = 0;
  let shown = null;

  const draw = newest(async () => {
    const [low, high] = groups[chosen];
    const layers = Array.from({ length: high - low + 1 }, (_, i) => low + i);
    const points = await model.pointsOf(seeds);
    const [columns, rows] = [points.slice(0, COLUMNS), points.slice(COLUMNS)];
    const truncation = psi.value;
    const inputs = points.map((point) => model.input(point, truncation));
    for (const row of rows) {
      for (const column of columns) inputs.push(model.input(row, truncation, column, layers));
    }
    const images = await model.draw(inputs);
    const cells = [null, ...images.slice(0, COLUMNS)];
    rows.forEach((_, i) => {
      const start = seeds.length + i * COLUMNS;
      cells.push(images[COLUMNS + i], ...images.slice(start, start + COLUMNS));
    });
    shown = sheet(cells, COLUMNS + 1, GAP);
    showTable(canvas, cells, COLUMNS + 1, GAP, APART, WIDTH);
    const [above, left] = [seeds.slice(0, COLUMNS), seeds.slice(COLUMNS)];
    canvas.setAttribute(
      "aria-label",
      `Faces of seeds ${left.join(", ")} with the ${GROUPS[chosen][0].toLowerCase()} styles of ` +
        `seeds ${above.join(", ")}`,
    );
    document.getElementById("mix-python").textContent =
      `facegen generate --model_path ${model.about.file} \\\n` +
      `  --style_mix rows=${left.join(",")} cols=${above.join(",")} layers=${low}-${high}` +
      (truncation === 1 ? "" : ` \\\n  --truncation_psi ${truncation}`);
  }, failed);

  const psi = psiSlider("mix-psi", model, draw);
  document.getElementById("mix-layers").append(
    ...GROUPS.map(([name, , what], i) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), {
        type: "radio",
        name: "layers",
        checked: i === chosen,
      });
      input.addEventListener("change", () => {
        chosen = i;
        draw();
      });
      const text = document.createElement("span");
      const small = document.createElement("small");
      small.textContent = what;
      text.append(name, small);
      label.append(input, text);
      return label;
    }),
  );
  const view = {
    show: draw,
    hide: () => {},
    random() {
      seeds = seeds.map(randomSeed);
      draw();
    },
    download: () => shown && download(shown, "style_mixing"),
  };
  document.getElementById("mix-random").addEventListener("click", view.random);
  document.getElementById("mix-download").addEventListener("click", view.download);
  return view;
}
