// Fields for seeds and ψ.

const MOST = 2 ** 32 - 1;

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000; // short enough to tell a friend
}

/** A field for a seed: `value`, `set(seed)`; `changed(seed)` is called for valid ones. */
export function seedField(id, seed, changed) {
  const input = document.getElementById(id);
  const field = {
    value: seed,
    set(next) {
      field.value = Math.min(MOST, Math.max(0, next));
      input.value = String(field.value);
      input.removeAttribute("aria-invalid");
      changed(field.value);
    },
  };
  input.value = String(seed);
  input.addEventListener("input", () => {
    const text = input.value.trim();
    const valid = /^\d{1,10}$/.test(text) && Number(text) <= MOST;
    input.setAttribute("aria-invalid", String(!valid));
    input.title = valid ? "" : `a whole number from 0 to ${MOST}`;
    if (!valid) return;
    field.value = Number(text);
    changed(field.value);
  });
  return field;
}

/** A slider with its value beside its name. */
export function slider(id, value, written, changed) {
  const input = document.getElementById(id);
  const output = document.querySelector(`output[for="${id}"]`);
  const field = {
    value,
    set(next) {
      field.value = next;
      input.value = String(next);
      output.value = written(next);
    },
  };
  field.set(value);
  input.addEventListener("input", () => {
    field.value = Number(input.value);
    output.value = written(field.value);
    changed(field.value);
  });
  return field;
}

/** The slider of ψ; 1, and no effect, for families that have none. */
export function psiSlider(id, model, changed) {
  return slider(id, model.about.psi ?? 1, (psi) => psi.toFixed(2), changed);
}
