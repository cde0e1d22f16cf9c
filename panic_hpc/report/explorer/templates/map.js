// The map: points, and above them what the page draws.

const MARKS = 6;  // circle, square, triangle, diamond, plus, cross
const PALETTES = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#888888"],
  dark: ["#4aa3df", "#ff8a3d", "#2fc79b", "#e39cc6", "#9bd4f7", "#ffc24a", "#ffffff", "#a0a0a0"],
};
const SHADES = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];  // viridis
const isDark = matchMedia("(prefers-color-scheme: dark)");
const palette = () => PALETTES[isDark.matches ? "dark" : "light"];
// How a level is told apart: never by colour alone.
const styleOf = (level) => ({ colour: level % 8, mark: (level + Math.floor(level / 8)) % MARKS });

// Fewer are drawn one by one, with smooth edges; more as pixels, which takes milliseconds for 100,000
// with no graphics card, where software WebGL takes a quarter of a second.
const MOST_SMOOTH = 4000;
const SHADE_LEVELS = 32;

class MapView {
  constructor(stage, points, overlay) {
    Object.assign(this, { stage, points, overlay, pen: overlay.getContext("2d"), zoom: 1, centre: [0.5, 0.5] });
    this.paper = points.getContext("2d", { willReadFrequently: true });
    new ResizeObserver(() => this.resize()).observe(stage);
    isDark.addEventListener("change", () => this.redraw());
    this.above = () => {};
  }

  // places: two numbers of 0 to 65535 a point; isSquare: whether both axes have one scale.
  show(places, isSquare) {
    Object.assign(this, { places, isSquare, n: places.length / 2 });
    this.index();
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.resize();
  }

  // looks: colour (8: by shade), mark, whether it is shown in full, shade; four bytes a point.
  style(looks) {
    const n = looks.length / 4;
    Object.assign(this, { looks, inks: new Uint8Array(n), stamps: new Uint8Array(n), layers: new Uint32Array(n) });
    let shown = 0;
    for (let i = 0; i < n; i++) shown += looks[4 * i + 2];
    // What is not shown in full lies beneath: its points are drawn first.
    let beneath = 0, above = n - shown;
    for (let i = 0; i < n; i++) {
      const [colour, mark, isShown, shade] = [looks[4 * i], looks[4 * i + 1], looks[4 * i + 2], looks[4 * i + 3]];
      this.layers[isShown ? above++ : beneath++] = i;
      this.stamps[i] = isShown ? mark : MARKS;
      this.inks[i] = !isShown ? 8 + SHADE_LEVELS : colour > 7 ? 8 + (shade * (SHADE_LEVELS - 1) / 255 | 0) : colour;
    }
    this.redraw();
  }

  // Points by cell of a 256 by 256 grid, so that the nearest is found at the speed of the pointer.
  index() {
    const cells = new Uint32Array(this.n), counts = new Uint32Array(65537);
    for (let i = 0; i < this.n; i++) {
      cells[i] = (this.places[2 * i + 1] >> 8) * 256 + (this.places[2 * i] >> 8);
      counts[cells[i] + 1]++;
    }
    for (let cell = 0; cell < 65536; cell++) counts[cell + 1] += counts[cell];
    this.cellStarts = counts.slice();
    this.ordered = new Uint32Array(this.n);
    for (let i = 0; i < this.n; i++) this.ordered[counts[cells[i]]++] = i;
  }

  resize() {
    const density = this.n > MOST_SMOOTH ? 1 : Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [this.points, this.overlay]) {
      canvas.width = Math.max(1, Math.round(this.stage.clientWidth * density));
      canvas.height = Math.max(1, Math.round(this.stage.clientHeight * density));
    }
    this.density = density;
    this.draw();
  }

  // Pixels of the page for a unit of the map, across and up.
  scales() {
    const width = this.stage.clientWidth, height = this.stage.clientHeight, room = 0.9 * this.zoom;
    return this.isSquare ? Array(2).fill(Math.min(width, height) * room) : [width * room, height * room];
  }

  toScreen(i) {
    const [sx, sy] = this.scales();
    return [(this.places[2 * i] / 65535 - this.centre[0]) * sx + this.stage.clientWidth / 2,
      this.stage.clientHeight / 2 - (this.places[2 * i + 1] / 65535 - this.centre[1]) * sy];
  }

  toMap(x, y) {
    const [sx, sy] = this.scales();
    return [(x - this.stage.clientWidth / 2) / sx + this.centre[0], (this.stage.clientHeight / 2 - y) / sy + this.centre[1]];
  }

  nearest(x, y, reach = 14) {
    if (!this.places) return -1;
    const [mx, my] = this.toMap(x, y), [sx, sy] = this.scales();
    const cell = (value) => Math.max(0, Math.min(255, Math.floor(value * 65535 / 256)));
    let best = -1, least = reach * reach;
    for (let row = cell(my - reach / sy); row <= cell(my + reach / sy); row++) {
      const from = this.cellStarts[row * 256 + cell(mx - reach / sx)];
      const to = this.cellStarts[row * 256 + cell(mx + reach / sx) + 1];
      for (let at = from; at < to; at++) {
        const i = this.ordered[at];
        if (this.looks && !this.looks[4 * i + 2]) continue;
        const dx = (this.places[2 * i] / 65535 - mx) * sx, dy = (this.places[2 * i + 1] / 65535 - my) * sy;
        if (dx * dx + dy * dy < least) { least = dx * dx + dy * dy; best = i; }
      }
    }
    return best;
  }

  move(dx, dy) {
    const [sx, sy] = this.scales();
    this.centre = [this.centre[0] - dx / sx, this.centre[1] + dy / sy];
    this.redraw();
  }

  zoomBy(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const before = this.toMap(x, y);
    this.zoom = Math.max(0.5, Math.min(200, this.zoom * factor));
    const after = this.toMap(x, y);
    this.centre = [this.centre[0] + before[0] - after[0], this.centre[1] + before[1] - after[1]];
    this.redraw();
  }

  showAll() {
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  // Pixels of the canvas that a mark takes.
  size() {
    const base = this.n > 20000 ? 4 : this.n > MOST_SMOOTH ? 5 : 8;
    return Math.round(base * Math.min(2.5, Math.sqrt(Math.max(1, this.zoom))) * this.density);
  }

  draw() {
    if (!this.places || !this.looks || this.looks.length !== 4 * this.n) return;
    if (this.n > MOST_SMOOTH) this.drawPixels(); else this.drawSmooth();
    this.pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    this.pen.clearRect(0, 0, this.stage.clientWidth, this.stage.clientHeight);
    this.above(this.pen);
  }

  // Where places lie on the canvas: x = ax * place + bx, y = ay * place + by.
  affine() {
    const [sx, sy] = this.scales().map((scale) => scale * this.density);
    return { ax: sx / 65535, bx: this.points.width / 2 - this.centre[0] * sx,
      ay: -sy / 65535, by: this.points.height / 2 + this.centre[1] * sy };
  }

  drawSmooth() {
    const { ax, bx, ay, by } = this.affine(), size = this.size(), { places, looks, paper } = this;
    const sprites = new Map();
    paper.clearRect(0, 0, this.points.width, this.points.height);
    for (const isShown of [0, 1]) {
      for (let i = 0; i < this.n; i++) {
        if (looks[4 * i + 2] !== isShown) continue;
        const shade = looks[4 * i + 3] * (SHADE_LEVELS - 1) / 255 | 0, key = (looks[4 * i] * 8 + looks[4 * i + 1]) * 64 + shade;
        if (!sprites.has(key)) sprites.set(key, markSprite(looks[4 * i + 1], colourOf(looks[4 * i], shade), size));
        paper.globalAlpha = isShown ? 0.85 : 0.12;
        paper.drawImage(sprites.get(key), places[2 * i] * ax + bx - size / 2, places[2 * i + 1] * ay + by - size / 2);
      }
    }
  }

  drawPixels() {
    const { width, height } = this.points, size = this.size(), { ax, bx, ay, by } = this.affine();
    if (!this.frame || this.frame.width !== width || this.frame.height !== height) {
      this.frame = this.paper.createImageData(width, height);
      this.pixels = new Uint32Array(this.frame.data.buffer);
    }
    const { pixels, places, layers, inks, stamps, n } = this;
    const stampFor = stampsOf(size, width), inkFor = inksOf();
    pixels.fill(0);
    for (let place = 0; place < n; place++) {
      const i = layers[place], x = places[2 * i] * ax + bx + 0.5 | 0, y = places[2 * i + 1] * ay + by + 0.5 | 0;
      if (x < size || y < size || x >= width - size || y >= height - size) continue;
      const at = y * width + x, stamp = stampFor[stamps[i]], ink = inkFor[inks[i]], length = stamp.length;
      for (let k = 0; k < length; k++) pixels[at + stamp[k]] = ink;
    }
    this.paper.putImageData(this.frame, 0, 0);
  }
}

function colourOf(colour, shade) {
  if (colour < 8) return palette()[colour];
  const at = shade / (SHADE_LEVELS - 1) * (SHADES.length - 1), low = Math.min(Math.floor(at), SHADES.length - 2);
  const [from, to] = [SHADES[low], SHADES[low + 1]].map((hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16)));
  return `#${from.map((value, k) => Math.round(value + (to[k] - value) * (at - low)).toString(16).padStart(2, "0")).join("")}`;
}

// Colours as pixels: eight of the palette, the shades, and last that of points not shown in full.
function inksOf() {
  const names = [...Array(8).keys()].map((colour) => colourOf(colour, 0));
  for (let shade = 0; shade < SHADE_LEVELS; shade++) names.push(colourOf(8, shade));
  return Uint32Array.from([...names, isDark.matches ? "#333b44" : "#d9dde2"], (hex) => {
    const value = parseInt(hex.slice(1), 16);
    return (0xff000000 | (value & 255) << 16 | value & 0xff00 | value >> 16) >>> 0;
  });
}

// For each mark the pixels it covers, as distances from its middle in a frame of that width; the last
// is a dot, for points not shown in full.
const stampCache = { key: "" };
function stampsOf(size, width) {
  const key = `${size} ${width}`;
  if (stampCache.key !== key) {
    const stamps = [...Array(MARKS).keys()].map((mark) => stampOf(markSprite(mark, "#000000", size), size, width));
    Object.assign(stampCache, { key, stamps: [...stamps, Int32Array.from([0, 1, width, width + 1])] });
  }
  return stampCache.stamps;
}

function stampOf(sprite, size, width) {
  const side = sprite.width, alpha = sprite.getContext("2d").getImageData(0, 0, side, side).data, found = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      if (alpha[4 * (y * side + x) + 3] > 110) found.push((y - (side >> 1)) * width + x - (side >> 1));
    }
  }
  return Int32Array.from(found);
}

function markSprite(mark, colour, side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  paintMark(canvas.getContext("2d"), mark, colour, side);
  return canvas;
}

// A mark that fills a square of that side: the map's and the legend's are the same.
function paintMark(pen, mark, colour, side) {
  pen.setTransform(side / 32, 0, 0, side / 32, 0, 0);
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 8;
  pen.beginPath();
  if (mark === 0) pen.arc(16, 16, 14, 0, 7);
  else if (mark === 1) pen.rect(4, 4, 24, 24);
  else if (mark === 2) { pen.moveTo(16, 2); pen.lineTo(31, 29); pen.lineTo(1, 29); }
  else if (mark === 3) { pen.moveTo(16, 0); pen.lineTo(32, 16); pen.lineTo(16, 32); pen.lineTo(0, 16); }
  if (mark < 4) { pen.fill(); return; }
  const ends = mark === 4 ? [[16, 0, 16, 32], [0, 16, 32, 16]] : [[3, 3, 29, 29], [29, 3, 3, 29]];
  for (const [x, y, u, v] of ends) { pen.moveTo(x, y); pen.lineTo(u, v); }
  pen.stroke();
}

function drawMark(canvas, level) {
  const { colour, mark } = styleOf(level), pen = canvas.getContext("2d");
  pen.clearRect(0, 0, 32, 32);
  paintMark(pen, mark, palette()[colour], 32);
}
