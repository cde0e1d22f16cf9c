"use strict";
// What the page holds. Texts are data: they reach the page through textContent and fillText alone.

const about = JSON.parse(document.getElementById("about").textContent);

async function inflated(id) {
  const holder = document.getElementById(id);
  const text = atob(holder.textContent.trim());
  holder.textContent = "";
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// A map: places (x and y in 0 to 65535), away, run, step; and where each run's points begin.
function unpackMaps(buffer) {
  let at = 0;
  const take = (Kind, count) => {
    const part = buffer.slice(at, (at += Kind.BYTES_PER_ELEMENT * count));
    return new Kind(part);
  };
  return about.maps.map((told) => {
    const n = told.points;
    const map = { ...told, n, places: take(Uint16Array, 2 * n), away: take(Uint16Array, n),
      run: take(Uint32Array, n), step: take(Uint32Array, n), spans: new Map() };
    for (let i = 0; i < n; i++) {
      const span = map.spans.get(map.run[i]);
      if (span) span[1] = i + 1; else map.spans.set(map.run[i], [i, i + 1]);
    }
    return map;
  });
}

const runNumbers = Object.keys(about.runs).map(Number).sort((a, b) => a - b);
let texts = null;  // once unpacked: by run, a Map from step to text

function unpackTexts(buffer) {
  const found = JSON.parse(new TextDecoder().decode(buffer));
  texts = new Map();
  for (const [run, [steps, words]] of Object.entries(found)) {
    texts.set(Number(run), new Map(steps.map((step, i) => [step, words[i]])));
  }
}

// A text's own caption; of a picture that which was made of it, one step later.
function captionAt(run, step) {
  const own = texts && texts.get(run);
  if (!own) return null;
  if (own.has(step)) return { step, text: own.get(step) };
  return own.has(step + 1) ? { step: step + 1, text: own.get(step + 1) } : null;
}

// The picture of a step, or the last one before it, which a text describes.
function pictureAt(run, step) {
  const sheet = about.runs[run].sheet;
  if (!sheet) return null;
  let low = 0, high = sheet.steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sheet.steps[middle] <= step) low = middle + 1; else high = middle;
  }
  return low ? { step: sheet.steps[low - 1], place: low - 1, sheet } : null;
}

const MOST_SHEETS = 80;
const sheets = new Map();  // by run, the newest last

function sheetOf(run, whenLoaded) {
  let image = sheets.get(run);
  if (!image) {
    image = new Image();
    image.src = `pictures/run_${String(run).padStart(6, "0")}.webp`;
    if (sheets.size >= MOST_SHEETS) sheets.delete(sheets.keys().next().value);
  }
  sheets.delete(run);
  sheets.set(run, image);
  if (!image.complete) image.addEventListener("load", whenLoaded, { once: true });
  return image;
}

// Draws the picture of a step into a canvas; returns its step, null where there is none.
function drawPicture(canvas, run, step, again) {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const found = pictureAt(run, step);
  if (!found) return null;
  const image = sheetOf(run, again);
  if (image.complete && image.naturalWidth) {
    const { tile, columns } = found.sheet;
    pen.imageSmoothingEnabled = tile > 64;
    pen.drawImage(image, (found.place % columns) * tile, Math.floor(found.place / columns) * tile,
      tile, tile, 0, 0, canvas.width, canvas.height);
  }
  return found.step;
}

function nameOf(run) {
  const told = about.runs[run];
  return `run ${run} · ${about.networks[told.network]} · “${about.prompts[told.prompt]}” · seed ${told.seed}`;
}
