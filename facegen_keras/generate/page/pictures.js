// Pictures on canvases, and as files.

/** A canvas that holds one picture, pixel for pixel. */
export function exact(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Pictures side by side, `columns` in a row, `gap` pixels apart; null leaves a place empty. */
export function sheet(images, columns, gap = 0) {
  const { width, height } = images.find(Boolean);
  const rows = Math.ceil(images.length / columns);
  const canvas = new OffscreenCanvas(
    columns * (width + gap) - gap,
    rows * (height + gap) - gap,
  );
  const context = canvas.getContext("2d");
  images.forEach((image, i) => {
    const [x, y] = [(i % columns) * (width + gap), Math.floor(i / columns) * (height + gap)];
    if (image) context.putImageData(image, x, y);
  });
  return canvas;
}

/** Fill a canvas with a picture, smoothly enlarged; `alpha` 1 covers what was there. */
export function fill(canvas, picture, alpha = 1) {
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.globalAlpha = alpha;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/** Fill a canvas with one face. Twice as large at a time, the grid of its pixels shows less. */
export function enlarge(canvas, picture) {
  let step = picture;
  while (2 * step.width < canvas.width) {
    const larger = new OffscreenCanvas(2 * step.width, 2 * step.height);
    fill(larger, step);
    step = larger;
  }
  fill(canvas, step);
}

/**
 * Show pictures in rows, each enlarged on its own. The first row and column stand apart.
 * @param {HTMLCanvasElement} canvas Gets `width` pixels, and the height that it then needs.
 */
export function showTable(canvas, images, columns, gap, apart, width) {
  const face = images.find(Boolean);
  const rows = Math.ceil(images.length / columns);
  const place = (index, size) => index * (size + gap) + (index ? apart : 0);
  const scale = width / (place(columns, face.width) - gap);
  canvas.width = width;
  canvas.height = Math.round((place(rows, face.height) - gap) * scale);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  images.forEach((image, i) => {
    if (!image) return;
    const x = place(i % columns, image.width);
    const y = place(Math.floor(i / columns), image.height);
    const box = [x, y, image.width, image.height].map((value) => Math.round(value * scale));
    context.drawImage(exact(image), ...box);
  });
}

/** Save a picture as a PNG with exactly its pixels. */
export async function download(picture, name) {
  const blob = await picture.convertToBlob({ type: "image/png" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A button that shows a picture, or an empty one to begin with. */
export function thumbnail(size = 96) {
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  button.append(canvas);
  return {
    button,
    show(image, name) {
      enlarge(canvas, exact(image));
      button.setAttribute("aria-label", name);
      button.title = name;
    },
  };
}

/** A function that is called once its calls have paused, with what the last of them was given. */
export function settled(work, milliseconds = 250) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}

/**
 * An asynchronous function that runs one call at a time. While one runs, only the newest of the
 * others waits: a slider that moves on does not leave a queue behind.
 */
export function newest(work, failed) {
  let running = false;
  let waiting = null;
  return async function call(...values) {
    waiting = values;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const next = waiting;
        waiting = null;
        await work(...next);
      }
    } catch (error) {
      failed(error);
    } finally {
      running = false;
    }
  };
}
