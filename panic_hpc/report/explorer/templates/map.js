// The map: points by WebGL (or, where there is none, by 2-D drawing), paths and rings above them.

const MARKS = 6;  // circle, square, triangle, diamond, plus, cross
const PALETTES = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#888888"],
  dark: ["#4aa3df", "#ff8a3d", "#2fc79b", "#e39cc6", "#9bd4f7", "#ffc24a", "#ffffff", "#a0a0a0"],
};
const SHADES = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];  // viridis
const isDark = matchMedia("(prefers-color-scheme: dark)");
const palette = () => PALETTES[isDark.matches ? "dark" : "light"];
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);

const VERTEX = `#version 300 es
in vec2 place; in vec4 look;
uniform vec2 centre, scale; uniform float size; uniform vec3 colours[13];
out vec3 colour; flat out int mark; out float alpha;
void main() {
  gl_Position = vec4((place - centre) * scale, 0.0, 1.0);
  bool shown = look.z > 0.5;
  gl_PointSize = shown ? size : size * 0.6;
  alpha = shown ? 0.8 : 0.1;
  mark = int(look.y + 0.5);
  float shade = look.w * 4.0;
  int low = int(min(floor(shade), 3.0));
  colour = look.x > 7.5 ? mix(colours[8 + low], colours[9 + low], shade - float(low)) : colours[int(look.x + 0.5)];
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 colour; flat in int mark; in float alpha; out vec4 pixel;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0; vec2 q = abs(p); float d;
  if (mark == 1) d = max(q.x, q.y) - 0.8;
  else if (mark == 2) d = max(q.x * 0.87 - p.y * 0.5 - 0.45, p.y - 0.75);
  else if (mark == 3) d = q.x + q.y - 1.0;
  else if (mark == 4) d = max(min(q.x, q.y) - 0.3, max(q.x, q.y) - 1.0);
  else if (mark == 5) d = max(abs(q.x - q.y) - 0.42, max(q.x, q.y) - 0.9);
  else d = length(p) - 0.95;
  if (d > 0.0) discard;
  pixel = vec4(colour * alpha, alpha);
}`;

// How a level is told apart: never by colour alone.
const styleOf = (level) => ({ colour: level % 8, mark: (level + Math.floor(level / 8)) % MARKS });

class MapView {
  constructor(stage, points, overlay) {
    Object.assign(this, { stage, points, overlay, pen: overlay.getContext("2d"), zoom: 1, centre: [0.5, 0.5] });
    this.gl = points.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (this.gl) this.prepare();
    points.addEventListener("webglcontextlost", (event) => event.preventDefault());
    points.addEventListener("webglcontextrestored", () => { this.prepare(); this.upload(); });
    new ResizeObserver(() => this.resize()).observe(stage);
    isDark.addEventListener("change", () => this.redraw());
    this.above = () => {};
  }

  prepare() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "place");
    gl.bindAttribLocation(program, 1, "look");
    gl.linkProgram(program);
    gl.useProgram(program);
    this.uniforms = Object.fromEntries(["centre", "scale", "size", "colours"].map((name) => [name, gl.getUniformLocation(program, name)]));
    this.buffers = [gl.createBuffer(), gl.createBuffer()];
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  // places: two numbers of 0 to 65535 a point; isSquare: whether both axes have one scale.
  show(places, isSquare) {
    Object.assign(this, { places, isSquare, n: places.length / 2 });
    this.index();
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.upload();
  }

  // looks: colour (8: by shade), mark, whether it is shown in full, shade; four bytes a point.
  style(looks) {
    this.looks = looks;
    this.upload();
  }

  upload() {
    if (this.gl && this.places && this.looks && this.looks.length === 4 * this.n) {
      const gl = this.gl;
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[0]);
      gl.bufferData(gl.ARRAY_BUFFER, this.places, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(0);
      gl.vertexAttribPointer(0, 2, gl.UNSIGNED_SHORT, true, 0, 0);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[1]);
      gl.bufferData(gl.ARRAY_BUFFER, this.looks, gl.DYNAMIC_DRAW);
      gl.enableVertexAttribArray(1);
      gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, false, 0, 0);
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
    const density = Math.min(devicePixelRatio || 1, 2);
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

  size() {
    const base = this.n > 20000 ? 3.5 : this.n > 2000 ? 5 : 8;
    return base * Math.min(3, Math.sqrt(this.zoom)) * (this.density || 1);
  }

  draw() {
    if (!this.places || !this.looks) return;
    if (this.gl) this.drawPoints(); else this.drawPlainPoints();
    this.pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    this.pen.clearRect(0, 0, this.stage.clientWidth, this.stage.clientHeight);
    this.above(this.pen);
  }

  drawPoints() {
    const gl = this.gl, [sx, sy] = this.scales();
    gl.viewport(0, 0, this.points.width, this.points.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.uniforms.centre, ...this.centre);
    gl.uniform2f(this.uniforms.scale, 2 * sx / this.stage.clientWidth, 2 * sy / this.stage.clientHeight);
    gl.uniform1f(this.uniforms.size, this.size());
    gl.uniform3fv(this.uniforms.colours, [...palette(), ...SHADES].flatMap(rgb));
    gl.drawArrays(gl.POINTS, 0, this.n);
  }

  drawPlainPoints() {
    const pen = this.points.getContext("2d"), side = this.size(), colours = palette();
    pen.clearRect(0, 0, this.points.width, this.points.height);
    for (let i = 0; i < this.n; i++) {
      const [x, y] = this.toScreen(i), colour = this.looks[4 * i];
      pen.globalAlpha = this.looks[4 * i + 2] ? 0.8 : 0.1;
      pen.fillStyle = colour > 7 ? SHADES[Math.round(this.looks[4 * i + 3] * 4)] : colours[colour];
      pen.fillRect(x * this.density - side / 2, y * this.density - side / 2, side, side);
    }
  }
}

// A mark as the legend shows it: the same shapes as the map's.
function drawMark(canvas, level) {
  const pen = canvas.getContext("2d"), { colour, mark } = styleOf(level);
  pen.clearRect(0, 0, 32, 32);
  pen.fillStyle = pen.strokeStyle = palette()[colour];
  pen.lineWidth = 7;
  pen.beginPath();
  if (mark === 0) pen.arc(16, 16, 12, 0, 7);
  else if (mark === 1) pen.rect(5, 5, 22, 22);
  else if (mark === 2) { pen.moveTo(16, 3); pen.lineTo(29, 27); pen.lineTo(3, 27); }
  else if (mark === 3) { pen.moveTo(16, 1); pen.lineTo(31, 16); pen.lineTo(16, 31); pen.lineTo(1, 16); }
  if (mark < 4) { pen.fill(); return; }
  const ends = mark === 4 ? [[16, 2, 16, 30], [2, 16, 30, 16]] : [[5, 5, 27, 27], [27, 5, 5, 27]];
  for (const [x, y, u, v] of ends) { pen.moveTo(x, y); pen.lineTo(u, v); }
  pen.stroke();
}
