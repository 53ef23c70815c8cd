// The page: opens the model, then shows one of four views.

import { faceView } from "./face.js";
import { gridView } from "./grid.js";
import { mixView } from "./mix.js";
import { Model } from "./model.js";
import { walkView } from "./walk.js";

const element = (id) => document.getElementById(id);
let views = {};
let current = null;

/** The view and the face that the address names, `#face?seed=7&psi=0.7`, and how to write them. */
const state = {
  read() {
    const [view, query] = location.hash.slice(1).split("?");
    const given = new URLSearchParams(query);
    const [seed, psi] = [Number(given.get("seed")), Number(given.get("psi"))];
    state.view = view;
    if (given.has("seed") && Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) state.seed = seed;
    if (given.has("psi") && psi >= 0 && psi <= 1) state.psi = psi;
  },
  save({ seed, psi }) {
    Object.assign(state, { seed, psi });
    const query = views.mix && psi !== undefined ? `seed=${seed}&psi=${psi}` : `seed=${seed}`;
    history.replaceState(null, "", `#${current ?? "face"}?${query}`);
  },
};

function failed(error) {
  console.error(error);
  element("trouble").textContent = `Something went wrong: ${error.message}. Reload the page.`;
}

function choose(name) {
  if (current === name) return;
  views[current]?.hide();
  current = name;
  for (const tab of tabs()) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    element(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (state.seed !== undefined) state.save(state);
  views[name].show();
}

const tabs = () => [...document.querySelectorAll('[role="tab"]:not([hidden])')];

function listen() {
  for (const tab of tabs()) {
    tab.addEventListener("click", () => choose(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const all = tabs();
      const next = all[(all.indexOf(tab) + step + all.length) % all.length];
      next.focus();
      next.click();
    });
  }
  addEventListener("hashchange", () => {
    state.read();
    if (state.seed !== undefined) views.face.open(state.seed, state.psi);
    if (Object.hasOwn(views, state.view)) choose(state.view);
  });
  const keys = {
    ArrowLeft: "previous",
    ArrowRight: "next",
    r: "random",
    d: "download",
    " ": "play",
  };
  document.addEventListener("keydown", (event) => {
    const taken = event.ctrlKey || event.metaKey || event.altKey;
    if (taken || event.target.matches("input, pre")) return;
    if (event.key === " " && event.target.matches("button, summary")) return; // presses it
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = views[current]?.[keys[key]];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function introduce(about) {
  const size = `${about.resolution}×${about.resolution}`;
  const { Data: data, Terms: terms } = Object.fromEntries(about.facts);
  const trained = data ? `, trained on ${data.split(/[,;(]/)[0].trim()},` : "";
  element("lead").textContent =
    `A ${about.name} of ${size} pixels${trained} draws them in your browser. ` +
    "Every face is generated: none of these people is real. " +
    (terms ? `Terms: ${terms.split(/[.;:(]/)[0].trim().toLowerCase()}.` : "");
  for (const [name, text] of about.facts) {
    const row = [document.createElement("dt"), document.createElement("dd")];
    [row[0].textContent, row[1].textContent] = [name, text];
    element("facts").append(...row);
  }
  element("made").textContent =
    `Made with facegen_keras ${about.version}, runs on ONNX Runtime Web ${about.runtime} ` +
    `(${about.weights} weights). A seed gives the same face here as in Python. ` +
    "The page sends nothing anywhere.";
  for (const part of document.querySelectorAll("[data-styled]")) part.hidden = !("layers" in about);
}

async function start() {
  state.read();
  const status = element("status");
  let broken = false;
  try {
    const model = await Model.open((share) => {
      if (broken) return; // other files may still arrive
      element("progress").value = share;
      status.textContent = share < 1 ? "Loading the model" : "Starting the model";
    });
    introduce(model.about);
    views = {
      face: faceView(model, state, failed),
      walk: walkView(model, failed),
      grid: gridView(model, state, failed, (seed, psi) => {
        views.face.open(seed, psi);
        choose("face");
      }),
    };
    if (model.styled) views.mix = mixView(model, failed);
    globalThis.facegen = model; // for the console: (await facegen.faces([7]))[0].data
    listen();
    element("loading").hidden = true;
    element("app").hidden = false;
    choose(Object.hasOwn(views, state.view) ? state.view : "face");
  } catch (error) {
    console.error(error);
    broken = true;
    element("progress").hidden = true;
    status.textContent = `The model could not be opened: ${error.message}`;
  }
}

start();
