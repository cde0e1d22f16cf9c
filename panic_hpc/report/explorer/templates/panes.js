// One side: a run, where in it one is, its picture and its caption.

class Pane {
  constructor(side, changed) {
    const root = document.getElementById(`pane-${side}`), part = (name) => root.querySelector(`.${name}`);
    Object.assign(this, { side, root, changed, part, run: runNumbers[0], place: 0, timer: 0 });
    part("earlier-run").addEventListener("click", () => this.goToRun(-1));
    part("later-run").addEventListener("click", () => this.goToRun(1));
    part("play").addEventListener("click", () => this.play());
    part("run").addEventListener("change", () => this.chooseRun(Number(part("run").value)));
    part("step").addEventListener("input", () => this.goTo(Number(part("step").value)));
    part("run").max = runNumbers[runNumbers.length - 1];
  }

  // The points of the run on the map, from first to one after the last.
  span() {
    return this.map.spans.get(this.run) || [0, 0];
  }

  point() {
    const [first, end] = this.span();
    return first < end ? first + this.place : -1;
  }

  step() {
    return this.point() < 0 ? 0 : this.map.step[this.point()];
  }

  useMap(map) {
    const step = this.map ? this.step() : 0;
    this.map = map;
    this.goToStep(step, false);
  }

  // The nearest run that is shown to the one that was asked for.
  chooseRun(wanted) {
    const near = (run) => Math.abs(run - wanted);
    this.run = runNumbers.reduce((best, run) => (near(run) < near(best) ? run : best));
    this.goTo(Math.min(this.place, this.last()));
  }

  goToRun(by) {
    const at = runNumbers.indexOf(this.run) + by;
    this.run = runNumbers[Math.max(0, Math.min(runNumbers.length - 1, at))];
    this.goTo(Math.min(this.place, this.last()));
  }

  last() {
    const [first, end] = this.span();
    return Math.max(0, end - first - 1);
  }

  goTo(place, isOwn = true) {
    this.place = Math.max(0, Math.min(this.last(), place));
    this.show();
    this.changed(this, isOwn);
  }

  goToStep(step, isOwn) {
    const [first, end] = this.span();
    let place = 0;
    while (first + place + 1 < end && this.map.step[first + place + 1] <= step) place++;
    this.goTo(place, isOwn);
  }

  goToPoint(point) {
    this.run = this.map.run[point];
    this.goTo(point - this.span()[0]);
  }

  play() {
    const button = this.part("play");
    clearInterval(this.timer);
    const isPlaying = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isPlaying));
    button.textContent = isPlaying ? "Stop" : "Play";
    if (!isPlaying) return;
    if (this.place >= this.last()) this.goTo(0);
    this.timer = setInterval(() => {
      if (this.place >= this.last()) this.play(); else this.goTo(this.place + 1);
    }, 350);
  }

  show() {
    const told = about.runs[this.run], step = this.step(), caption = captionAt(this.run, step);
    const picture = this.part("picture");
    this.part("run").value = this.run;
    this.part("step").max = this.last();
    this.part("step").value = this.place;
    this.part("step").setAttribute("aria-valuetext", `step ${step}`);
    this.part("who").textContent = nameOf(this.run);
    const shown = drawPicture(picture, this.run, step, () => this.show());
    picture.hidden = shown === null;
    const said = caption ? caption.text : "";
    picture.setAttribute("aria-label", shown === null ? "No picture" : `Picture of step ${shown}: ${said}`);
    const parts = [`step ${step} of ${told.steps}`];
    if (shown !== null && shown !== step) parts.push(`picture of step ${shown}`);
    if (caption && caption.step !== step) parts.push(`caption of step ${caption.step}`);
    if (told.loop[1] > 0 && step >= told.loop[0]) parts.push(`in its loop of ${told.loop[1]} steps`);
    if (this.place === this.last() && told.ended !== "length") parts.push(`ended: ${told.ended}`);
    this.part("where").textContent = parts.join(" · ");
    this.part("said").textContent = texts === null ? "…" : said || "(no caption)";
  }

  setActive(isActive) {
    this.root.classList.toggle("active", isActive);
    this.part("pick").setAttribute("aria-pressed", String(isActive));
  }
}
