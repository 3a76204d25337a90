"use strict";
// Runs the model, and watches what becomes of its proofs. All that comes from the server is set as text.

const byId = (id) => document.getElementById(id);
const WATCH_MS = 1000;
const SHOWN_VALUES = 20;
const SHOWN_JOBS = 50;
let model = null;
let token = sessionStorage.getItem("token") || "";

function element(kind, text, name) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) byId("access").hidden = false;
  if (response.ok || response.status === 422) return response;
  const body = await response.json().catch(() => null);
  const error = body && body.error;
  throw new Error(error ? `${error.message}${error.hint ? `\n${error.hint}` : ""}` : `status ${response.status}`);
}

function shapes(tensors) {
  return tensors.map((tensor) => `${tensor.name} [${tensor.shape.join(", ")}]`).join(", ");
}

async function start() {
  model = await (await call("/v1/model")).json();
  byId("access").hidden = true;
  byId("name").textContent = model.model;
  document.title = `${model.model}: zkml-gpu`;
  const insecure = model.insecure_srs ? " Its reference string is for development: proofs could be forged." : "";
  byId("about").textContent =
    `From ${shapes(model.inputs)} to ${shapes(model.outputs)}, proved on ${model.backend} (${model.device}).${insecure}`;
  if (!byId("input").value) draw();
}

// Numbers within the range of each input, or whole ones where it takes indices.
function draw() {
  if (!model) return;
  const list = (tensor) => {
    const [low, high] = tensor.range;
    const size = tensor.shape.reduce((product, axis) => product * axis, 1);
    const number = () => Number((low + Math.random() * (high - low)).toPrecision(3));
    return Array.from({ length: size }, () => Math.min(high, Math.max(low, number())));
  };
  byId("input").value = JSON.stringify({ input_data: model.inputs.map(list) });
}

function showAnswer(answer) {
  const shown = answer.outputs.map((output) => {
    const box = element("div");
    box.append(element("h3", `${output.name} [${output.shape.join(", ")}]`));
    if (!output.values.length) {
      box.append(element("p", `It is ${output.visibility}: the proof does not show it.`));
      return box;
    }
    const greatest = output.reals.indexOf(Math.max(...output.reals));
    const list = element("ol");
    list.start = 0;
    output.reals.slice(0, SHOWN_VALUES).forEach((value, at) => {
      list.append(element("li", String(Number(value.toPrecision(6))), at === greatest ? "greatest" : ""));
    });
    box.append(list);
    if (output.reals.length > SHOWN_VALUES) box.append(element("p", `… ${output.reals.length} values`));
    return box;
  });
  if (answer.saturation) {
    const { input, share } = answer.saturation;
    shown.push(element("p", `${(100 * share).toFixed(1)} % of input ${input} lie beyond the calibration, and were clamped.`));
  }
  byId("answer").replaceChildren(...shown);
}

async function send(event) {
  event.preventDefault();
  byId("problem").textContent = "";
  byId("send").disabled = true;
  try {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID ? crypto.randomUUID() : String(Math.random()) };
    const response = await call("/v1/infer", { method: "POST", headers, body: byId("input").value });
    showAnswer(await response.json());
    await watch();
  } catch (error) {
    byId("problem").textContent = error.message;
  } finally {
    byId("send").disabled = false;
  }
}

async function save(id) {
  const response = await call(`/v1/proofs/${id}`);
  if (response.status === 422) {
    const { error } = await response.json();
    byId("problem").textContent = `${id}: ${error.message}`;
    return;
  }
  const link = element("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = `${id}.proof.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function row(job) {
  const line = element("tr");
  line.dataset.id = job.id;
  const name = element("td", job.id.slice(0, 8), "name");
  name.title = job.id;
  const took = job.finished_ms === null ? "" : `${((job.finished_ms - job.accepted_ms) / 1000).toFixed(1)} s`;
  const last = element("td");
  if (job.state === "proved" || job.state === "failed") {
    const button = element("button", job.state === "proved" ? "Save" : "Why");
    button.addEventListener("click", () => save(job.id).catch((error) => {
      byId("problem").textContent = error.message;
    }));
    last.append(button);
  }
  const accepted = element("td", new Date(job.accepted_ms).toLocaleTimeString());
  line.append(name, element("td", job.state, job.state), accepted, element("td", took), last);
  return line;
}

let shown = "";

async function watch() {
  const text = await (await call(`/v1/proofs?limit=${SHOWN_JOBS}`)).text();
  // What has not changed stays, so that nobody loses a button under their finger.
  if (text === shown) return;
  shown = text;
  const { jobs, waiting, proving, kept } = JSON.parse(text);
  byId("counts").textContent = `${waiting} waiting, ${proving} under way, ${kept} in all`;
  byId("proofs").replaceChildren(...jobs.map(row));
}

// One after the other: a slow server is not asked twice at a time.
async function follow() {
  try {
    if (!model) await start();
    if (!document.hidden) await watch();
  } catch (error) {
    byId("counts").textContent = error.message;
  }
  setTimeout(follow, WATCH_MS);
}

byId("form").addEventListener("submit", send);
byId("sample").addEventListener("click", draw);
byId("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) byId("input").value = await file.text();
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem("token", token);
  start().then(watch).catch((error) => {
    byId("counts").textContent = error.message;
  });
});
follow();
