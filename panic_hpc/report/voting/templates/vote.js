"use strict";
// One question after the other. What is said is kept by what it is said of, so that who changes
// their mind has one vote; texts of the dataset reach the page through textContent alone.

const about = JSON.parse(document.getElementById("about").textContent);
const part = (id) => document.getElementById(id);
const storageKey = `panic-hpc-votes-${about.content_key}`;
let current = 0;
let said = new Map();  // by what it is of: a vote

function remembered() {
  // A browser may refuse storage to a page from a disk; then a reload forgets.
  try {
    const kept = JSON.parse(localStorage.getItem(storageKey) || "null");
    if (kept) { said = new Map(kept.said); part("voter").value = kept.voter; }
  } catch { said = new Map(); }
}

function remember() {
  try {
    localStorage.setItem(storageKey, JSON.stringify({ voter: part("voter").value, said: [...said] }));
  } catch { /* It stays in this page. */ }
}

function tell(text, isTrouble = false) {
  part("saved").textContent = text;
  part("saved").classList.toggle("trouble", isTrouble);
}

const counted = (n) => n === 1 ? "1 answer" : `${n} answers`;
const voter = () => part("voter").value.trim();

function keep(of, vote) {
  if (!voter()) { part("voter").focus(); tell("Your name first, please", true); return false; }
  const whole = { ...vote, voter: voter(), at: Date.now() / 1000 };
  said.set(of, whole);
  remember();
  if (about.served) send(whole); else tell(`${counted(said.size)}, not downloaded yet`);
  show();
  return true;
}

// One after the other, so that the last word on a thing is the last that comes.
let sending = Promise.resolve();
let unsent = 0;

function send(vote) {
  unsent += 1;
  sending = sending.then(() => trySending(vote));
}

async function trySending(vote) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    const refusal = await post(vote);
    if (refusal === null) {
      unsent -= 1;
      tell(unsent ? `${counted(unsent)} on the way` : "kept");
      return;
    }
    if (refusal) { unsent -= 1; tell(`An answer was refused: ${refusal}`, true); return; }
    tell("The server does not answer; trying again", true);
    await new Promise((done) => setTimeout(done, wait));
  }
}

// null where it was kept, why where it was refused, "" where nobody answered.
async function post(vote) {
  try {
    const answer = await fetch(`vote${location.search}`, { method: "POST", body: JSON.stringify(vote),
      headers: { "Content-Type": "application/json" } });
    return answer.ok ? null : (answer.status >= 500 ? "" : await answer.text());
  } catch { return ""; }
}

const question = () => about.questions[current];
const duelOf = (asked) => `better ${JSON.stringify(asked.outputs.map((one) => one.of))}`;
const isAnswered = (asked) => asked.outputs.length > 1 ? said.has(duelOf(asked))
  : said.has(`like ${JSON.stringify(asked.outputs[0].of)}`);

function choose(better) {
  const [one, other] = question().outputs.map((output) => output.of);
  const word = { 0: "one", 1: "other", neither: "neither" }[better];
  if (keep(duelOf(question()), { kind: "preference", one, other, better: word })) go(current + 1);
}

function like(of, likes) {
  const name = `like ${JSON.stringify(of)}`;
  const before = said.get(name);
  keep(name, { kind: "like", of, likes: before && before.likes === likes ? null : likes });
}

function comment(of, text) {
  keep(`comment ${JSON.stringify(of)}`, { kind: "comment", of, text: text.slice(0, about.most_characters) });
}

function go(place) {
  current = Math.max(0, Math.min(place, about.questions.length - 1));
  draw();
}

function draw() {
  const asked = question(), isDuel = asked.outputs.length > 1;
  part("prompt").textContent = asked.prompt;
  part("outputs").replaceChildren(...asked.outputs.map(drawn));
  part("outputs").classList.toggle("one", !isDuel);
  part("better").hidden = !isDuel;
  show();
}

function drawn(output, place) {
  const made = part("output").content.cloneNode(true).firstElementChild;
  const find = (name) => made.querySelector(name);
  if (output.picture) {
    find("img").src = output.picture;
    find("img").alt = question().outputs.length > 1 ? ["left picture", "right picture"][place] : "picture";
    find("img").classList.toggle("sharp", output.sharp);
    find("img").hidden = false;
  } else {
    find("blockquote").textContent = output.text || "(an empty text)";
    find("blockquote").hidden = false;
  }
  find(".like").addEventListener("click", () => like(output.of, true));
  find(".dislike").addEventListener("click", () => like(output.of, false));
  find(".comment").maxLength = about.most_characters;
  const kept = said.get(`comment ${JSON.stringify(output.of)}`);
  find(".comment").value = kept ? kept.text : "";
  find(".comment").addEventListener("change", (event) => comment(output.of, event.target.value));
  return made;
}

// What is pressed, and how far it is; no input is made anew, whose cursor would be lost.
function show() {
  const asked = question(), vote = said.get(duelOf(asked));
  for (const button of part("better").querySelectorAll("button")) {
    const word = { 0: "one", 1: "other", neither: "neither" }[button.dataset.better];
    button.setAttribute("aria-pressed", String(Boolean(vote && vote.better === word)));
  }
  asked.outputs.forEach((output, place) => {
    const liked = said.get(`like ${JSON.stringify(output.of)}`);
    const figure = part("outputs").children[place];
    if (!figure) return;
    figure.querySelector(".like").setAttribute("aria-pressed", String(Boolean(liked && liked.likes === true)));
    figure.querySelector(".dislike").setAttribute("aria-pressed", String(Boolean(liked && liked.likes === false)));
  });
  const n = about.questions.length;
  const answered = about.questions.filter(isAnswered).length;
  part("count").textContent = `${current + 1} of ${n}, ${answered} answered`;
  part("progress").max = n;
  part("progress").value = answered;
  part("back").disabled = current === 0;
  part("on").disabled = current === n - 1;
}

function download() {
  // The name may have been mended since: it is that of all votes of the file.
  const votes = [...said.values()].map((vote) => ({ ...vote, voter: voter() }));
  const content = JSON.stringify({ format: about.format, content_key: about.content_key, votes });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  link.download = `votes-${voter().replace(/[^A-Za-z0-9]+/g, "-") || "nobody"}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  tell(`${counted(votes.length)} downloaded`);
  return content;
}

const CHOICES = { ArrowLeft: "0", ArrowDown: "neither", ArrowRight: "1" };

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in CHOICES && question().outputs.length > 1) choose(CHOICES[event.key]);
  else if (event.key === "Backspace") go(current - 1);
  else return;
  event.preventDefault();
});
for (const button of part("better").querySelectorAll("button")) {
  button.addEventListener("click", () => choose(button.dataset.better));
}
part("back").addEventListener("click", () => go(current - 1));
part("on").addEventListener("click", () => go(current + 1));
part("voter").addEventListener("change", remember);
if (part("download")) part("download").addEventListener("click", download);

remembered();
part("main").hidden = false;
go(Math.max(0, about.questions.findIndex((asked) => !isAnswered(asked))));
document.documentElement.dataset.ready = "yes";
