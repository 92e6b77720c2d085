// The page: connects the lists, buttons and keys with the picture and the HTTP calls.
import { dropped } from "./dropped.js";
import { $, choice, choose, make, say } from "./elements.js";
import { connectKeys } from "./keys.js";
import { labelFile } from "./nifti.js";
import * as server from "./server.js";
import { Viewer } from "./viewer.js";

const viewer = new Viewer($("canvas"));
const PALETTE = ["#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#42d4f4", "#f032e6", "#bfef45", "#fabed4", "#469990"];

// What is shown. `structures`: [{value, name, colour, confidence, check, annotated}]; `chosen`: index of the one to draw.
const state = {
  scans: [], examples: null, tasks: [], scan: null, image: null, structures: [], chosen: 0,
  tool: "look", changed: false, busy: false, job: null, source: null,
};

// Runs an action once at a time, and shows what goes wrong.
async function doing(action, text = "") {
  if (state.busy) return;
  state.busy = true;
  document.body.style.cursor = "progress";
  if (text) say(text);
  try {
    await action();
    if (text && $("message-text").textContent === text) $("message").hidden = true;
  } catch (error) {
    say(error.message, true);
  } finally {
    state.busy = false;
    document.body.style.cursor = "";
    showButtons();
  }
}

// ---- scans ----

const shortName = (name) => name.split("/").pop().replace(/\.(nii\.gz|nii|mg[hz]|png|tiff?|np[yz])$/i, "");
const STATES = { new: "", predicted: "predicted", saved: "✓ example" };

async function loadLists() {
  const [scans, examples] = await Promise.all([server.scans(), server.examples()]);
  state.scans = scans.scans;
  state.examples = examples;
  showScans();
  $("folders").textContent = `Scans in ${scans.folder}, examples in ${examples.folder}`;
  showExamples();
  showTasks();
}

function showScans() {
  $("scans").replaceChildren(
    ...state.scans.map((scan) => {
      const button = make("button", { type: "button", title: scan.name });
      button.append(make("span", { className: "name", textContent: shortName(scan.name) }), make("span", { className: "state", textContent: STATES[scan.state] }));
      button.setAttribute("aria-current", scan.id === state.scan?.id);
      button.addEventListener("click", () => leave(() => open(scan.id)));
      return make("li", { className: scan.state }, button);
    }),
  );
  $("empty").hidden = state.scan !== null;
  $("looking").hidden = state.scan === null;
}

async function open(id, source) {
  await doing(async () => {
    const scan = await server.scan(id);
    const image = await server.image(id, false);
    Object.assign(state, { scan, image, source: null, changed: false });
    showScans();
    await viewer.open(image, scan.volume);
    $("title").textContent = scan.name;
    choose($("planes"), viewer.planeName);
    $("planes").hidden = !scan.volume;
    $("result-row").hidden = !scan.image;
    $("result").checked = false;
    $("result-title").textContent = scan.image ? scan.image.title.toLowerCase() : "";
    const from = source && scan.labels.includes(source) ? source : scan.labels[0];
    if (from) await showLabels(from);
    else setStructures(state.examples.structures.map((x) => ({ ...x, annotated: false })));
    const first = viewer.counts().findIndex((count, place) => place > 0 && count > 0);
    if (first > 0) viewer.goTo(first);
    setTool("look");
    showTasks();
  }, "Opening the scan …");
}

async function showLabels(source) {
  const id = state.scan.id;
  const [structures, file] = await Promise.all([server.structures(id, source), server.labels(id, source)]);
  structures.sort((a, b) => Boolean(b.check) - Boolean(a.check));
  setStructures(structures.map((x) => ({ ...x, annotated: true })), false);
  viewer.labels(file);
  state.source = source;
  state.changed = false;
  showStructures();
}

// Does something that replaces the labels, after asking what becomes of changes that were not saved.
async function leave(action) {
  if (!state.changed) return action();
  $("leave").showModal();
  $("leave").onclose = async () => {
    const answer = $("leave").returnValue;
    $("leave").returnValue = "stay";
    if (answer === "save" && !(await save())) return;
    if (answer === "save" || answer === "discard") {
      state.changed = false;
      await action();
    }
  };
}

async function addFiles(files) {
  if (!files.length) return;
  let added = null;
  await doing(async () => {
    const dicom = files.filter((file) => !/\.(nii|nii\.gz|mgz|mgh|png|tiff?|npy|npz)$/i.test(file.name));
    for (const group of [...files.filter((file) => !dicom.includes(file)).map((file) => [file]), ...(dicom.length ? [dicom] : [])])
      added = added ?? (await server.addScan(group)).scans[0];
    await loadLists();
  }, "Reading …");
  if (added) await leave(() => open(added));
}

function nextScan() {
  const at = state.scans.findIndex((scan) => scan.id === state.scan?.id);
  const order = [...state.scans.slice(at + 1), ...state.scans.slice(0, Math.max(at, 0))];
  const next = order.find((scan) => scan.state !== "saved");
  if (next) leave(() => open(next.id));
  else say("Every scan here is an example now. Add another scan to go on.");
}

// ---- predict ----

const ownUsable = () => state.examples.examples.filter((x) => !state.scan || x.id !== state.scan.id);

function showExamples() {
  const { examples, notes } = state.examples;
  const unchecked = new Set(Array.from($("examples").querySelectorAll("input:not(:checked)"), (box) => box.value));
  $("examples").replaceChildren(
    ...examples.map((example) => {
      const box = make("input", { type: "checkbox", value: example.id, checked: !unchecked.has(example.id) });
      box.addEventListener("change", countExamples);
      return make("li", {}, make("label", {}, box, example.name));
    }),
    ...notes.map((note) => make("li", { className: "soft small", textContent: note })),
  );
  countExamples();
}

function countExamples() {
  const boxes = Array.from($("examples").querySelectorAll("input"));
  const used = boxes.filter((box) => box.checked).length;
  $("examples-title").textContent = `${used === boxes.length ? used : `${used} of ${boxes.length}`} example${boxes.length === 1 ? "" : "s"}`;
  showButtons();
}

function showTasks() {
  const volume = state.scan?.volume ?? true;
  const { examples, images } = state.examples;
  const possible = state.tasks.filter((task) => {
    if (!task.own_examples) return volume;
    return examples.length > 0 && state.examples.volumes === volume && task.labels === !images;
  });
  const before = $("task").value;
  $("task").replaceChildren(...possible.map((task) => make("option", { value: task.task, textContent: task.title })));
  const own = possible.find((task) => task.own_examples);
  const keepsBefore = possible.some((task) => task.task === before) && !(own && showTasks.own === undefined);
  if (keepsBefore) $("task").value = before;
  showTasks.own = own?.task;
  $("task").disabled = !possible.length;
  showTask();
}

function showTask() {
  const task = state.tasks.find((x) => x.task === $("task").value);
  const own = task?.own_examples;
  $("examples-part").hidden = !own;
  const labels = own && task.labels ? state.examples.structures : (task?.structures ?? []);
  $("only-part").hidden = labels.length < 2;
  const before = new Map(showTask.of === task?.task ? Array.from($("only").querySelectorAll("input"), (box) => [box.value, box.checked]) : []);
  showTask.of = task?.task;
  $("only").replaceChildren(
    ...labels.map((x) => {
      const box = make("input", { type: "checkbox", value: x.value, checked: before.get(String(x.value)) ?? x.usual ?? true });
      box.addEventListener("change", countOnly);
      return make("li", {}, make("label", {}, box, x.name));
    }),
  );
  countOnly();
  $("task-note").textContent = !task
    ? "There are no examples yet: draw a structure below and save it. The next image can then be predicted from it."
    : own || task.task !== "built-in"
      ? ""
      : "No examples of your own are needed. Fewer structures take less time. Correct the result and save it: from then on, your examples are used.";
}

function countOnly() {
  const boxes = Array.from($("only").querySelectorAll("input"));
  const used = boxes.filter((box) => box.checked).length;
  $("only-title").textContent = used === boxes.length ? `all ${used} structures` : `${used} of ${boxes.length} structures`;
  $("only-toggle").textContent = used === boxes.length ? "Choose none" : "Choose all";
  showButtons();
}

function toggleOnly() {
  const boxes = Array.from($("only").querySelectorAll("input"));
  const all = boxes.every((box) => box.checked);
  for (const box of boxes) box.checked = !all;
  countOnly();
}

async function predict() {
  if ($("predict").disabled) return;
  await leave(() =>
    doing(async () => {
      const checked = (list) => Array.from($(list).querySelectorAll("input:checked"), (box) => box.value);
      const own = state.tasks.find((x) => x.task === $("task").value).own_examples;
      const only = $("only-part").hidden || (own && !$("only").querySelector("input:not(:checked)")) ? [] : checked("only").map(Number);
      const job = await server.predict({ scan: state.scan.id, task: $("task").value, examples: own ? checked("examples") : [], labels: only });
      watch(job.id);
    }),
  );
}

// Shows a prediction until it has ended.
async function watch(id) {
  state.job = id;
  for (;;) {
    let job;
    try {
      const jobs = await server.jobs();
      job = jobs.find((x) => x.id === id);
      showProgress(job, jobs.filter((x) => x.id < id && ["waiting", "running"].includes(x.state)).length);
    } catch (error) {
      say(error.message, true);
      break;
    }
    if (!job || !["waiting", "running"].includes(job.state)) {
      await ended(job);
      break;
    }
    await new Promise((done) => setTimeout(done, 400));
  }
  state.job = null;
  $("progress").hidden = true;
  showButtons();
}

function showProgress(job, before) {
  if (!job) return;
  const name = state.scans.find((scan) => scan.id === job.scan)?.name ?? "";
  $("progress").hidden = false;
  const step = job.state === "waiting" ? (before ? `waits for ${before} other prediction${before > 1 ? "s" : ""}` : "starting") : job.of ? `${job.stage}, ${job.done} of ${job.of}` : "starting";
  $("progress-text").textContent = `${name.split("/").pop()}: ${step}${job.seconds ? `, ${Math.round(job.seconds)} s` : ""}`;
  if (job.of) [$("progress-bar").max, $("progress-bar").value] = [job.of, job.done];
  else $("progress-bar").removeAttribute("value");
  showButtons();
}

async function ended(job) {
  if (!job) return;
  if (job.state === "failed") say(job.error, true);
  if (job.state === "cancelled") say("Cancelled. Nothing was changed.");
  await loadLists().catch((error) => say(error.message, true));
  if (job.state !== "done") return;
  const notes = job.notes.filter((note, index) => job.notes.indexOf(note) === index);
  if (job.scan !== state.scan?.id || state.changed) {
    say(`${state.scans.find((scan) => scan.id === job.scan)?.name ?? "A scan"} is predicted.`);
    return;
  }
  await doing(async () => {
    state.scan = await server.scan(job.scan);
    if (state.tasks.find((task) => task.task === job.task).labels) {
      const first = state.source === null;
      await showLabels("prediction");
      const place = viewer.counts().findIndex((count, at) => at > 0 && count > 0);
      if (first && place > 0) viewer.goTo(place);
    } else {
      $("result-row").hidden = false;
      $("result-title").textContent = state.scan.image.title.toLowerCase();
      $("result").checked = true;
      await viewer.show(await server.image(job.scan, true));
    }
    const done = state.scan.image && !state.tasks.find((task) => task.task === job.task).labels ? `\nStored as ${state.scan.image.path}` : "";
    say([`Done in ${Math.round(job.seconds)} s.${done}`, ...notes].join("\n"), notes.length > 0);
  });
}

// ---- structures ----

function setStructures(structures, clear = true) {
  state.structures = structures;
  state.chosen = Math.min(state.chosen, Math.max(structures.length - 1, 0));
  viewer.structures(structures);
  if (clear) showStructures();
}

function showStructures() {
  const counts = viewer.counts();
  const checks = state.structures.filter((x) => x.check).length;
  $("structures-note").textContent = !state.structures.length
    ? "Name what you want to draw, then draw it in the picture."
    : checks
      ? `${checks} to check first. The number is the Dice that is expected.`
      : state.structures.some((x) => x.confidence != null)
        ? "Choose a structure, then draw or erase. The number is the Dice that is expected."
        : "Choose a structure, then draw it in the picture.";
  $("structures").replaceChildren(
    ...state.structures.map((x, index) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = x.colour;
      const name = make("button", { type: "button", textContent: x.name, title: `Label ${x.value}: go there, and draw it` });
      name.setAttribute("aria-pressed", index === state.chosen);
      name.addEventListener("click", () => chooseStructure(index, true));
      const size = counts[index + 1] * (state.scan?.volume ? viewer.mm3 : 1);
      const unit = state.scan?.volume ? (size >= 10000 ? `${(size / 1000).toFixed(1)} mL` : `${Math.round(size)} mm³`) : `${size} px`;
      const text = [size ? unit : "none", x.confidence != null ? x.confidence.toFixed(2) : ""].filter(Boolean).join(" · ");
      const remove = make("button", { type: "button", textContent: "×", title: "Remove: not annotated in this scan" });
      remove.setAttribute("aria-label", `Remove ${x.name}`);
      remove.addEventListener("click", () => removeStructure(index));
      const row = make("li", {}, swatch, name, make("span", { className: "numbers", textContent: text }), remove);
      row.classList.toggle("chosen", index === state.chosen);
      row.classList.toggle("check", Boolean(x.check));
      return row;
    }),
  );
  showButtons();
}

function chooseStructure(index, go) {
  if (!state.structures[index]) return;
  state.chosen = index;
  if (go) viewer.goTo(index + 1);
  setTool(state.tool);
  showStructures();
}

function addStructure(name) {
  const known = state.examples.structures.find((x) => x.name.toLowerCase() === name.toLowerCase());
  const there = state.structures.findIndex((x) => x.name.toLowerCase() === name.toLowerCase());
  if (there >= 0) return chooseStructure(there, true);
  const values = [...state.structures, ...state.examples.structures].map((x) => x.value);
  const value = known?.value ?? Math.max(0, ...values) + 1;
  const colour = known?.colour ?? PALETTE[state.structures.length % PALETTE.length];
  setStructures([...state.structures, { value, name, colour, annotated: false }], false);
  state.chosen = state.structures.length - 1;
  setTool("draw");
  showStructures();
}

function removeStructure(index) {
  const had = viewer.counts()[index + 1] > 0;
  viewer.remove(index + 1);
  if (state.chosen > index) state.chosen -= 1;
  setStructures(state.structures.filter((_, at) => at !== index));
  state.changed = state.changed || had;
  setTool(state.tool);
}

// ---- draw and save ----

const HINTS = { look: "Click to move the cross.", draw: "Drag to draw.", erase: "Drag to erase." };
const MOUSE = { slices: "The wheel goes through the slices.", contrast: "Drag with the right button to change the contrast." };

function setTool(tool) {
  const possible = state.scan && (tool !== "draw" || state.structures.length);
  if (tool === "draw" && state.scan && !possible) {
    $("new-name").focus();
    say("Name the structure that you want to draw, then draw it.");
  }
  state.tool = possible ? tool : "look";
  choose($("tools"), state.tool);
  const place = { look: null, draw: state.chosen + 1, erase: 0 }[state.tool];
  if (state.scan) viewer.pen(place, Number($("size").value), $("fill").checked);
  const now = state.tool === "draw" ? `Now: ${state.structures[state.chosen].name}.` : "";
  $("hint").textContent = [HINTS[state.tool], now, state.scan?.volume ? MOUSE.slices : "", MOUSE.contrast].join(" ");
}

function resize(step) {
  $("size").value = Number($("size").value) + step;
  $("size-text").textContent = $("size").value;
  setTool(state.tool);
}

// Whether it was saved.
async function save() {
  if ($("save").disabled) return false;
  let saved = false;
  await doing(async () => {
    const counts = viewer.counts();
    const structures = state.structures.filter((x, index) => x.annotated || counts[index + 1]);
    const answer = await server.saveExample(
      state.scan.id,
      await labelFile(state.image, viewer.drawn()),
      structures.map(({ value, name }) => ({ value, name: name === `label ${value}` ? "" : name })),
    );
    state.changed = false;
    await loadLists();
    const count = state.examples.examples.length;
    const more = state.scans.some((scan) => scan.state !== "saved");
    say([`Saved. ${count} example${count > 1 ? "s" : ""} now. ${more ? "Next: N." : ""}`, ...answer.notes].join("\n"), answer.notes.length > 0);
    $("save-note").textContent = `Saved as ${answer.labels}`;
    saved = true;
  }, "Saving …");
  if (saved) $("next").focus();
  return saved;
}

function showButtons() {
  const open = state.scan !== null;
  const waits = state.job !== null;
  const drawn = open && viewer.before && viewer.before.some(Boolean);
  const own = state.tasks.find((x) => x.task === $("task").value)?.own_examples;
  const chosen = $("examples").querySelector("input:checked") !== null;
  const labels = $("only-part").hidden || $("only").querySelector("input:checked") !== null;
  $("predict").disabled = !open || waits || state.busy || !$("task").value || (own && !chosen) || !labels;
  $("predict").classList.toggle("primary", !state.changed);
  $("undo").disabled = !viewer.done.length;
  $("redo").disabled = !viewer.undone.length;
  $("save").disabled = !drawn || state.busy;
  $("next").disabled = !state.scans.length;
  for (const part of ["predict-part", "structures-part"]) $(part).inert = !open;
  $("save").title = drawn ? "" : "Nothing is labelled yet";
}

// ---- connections ----

function connect() {
  choice($("planes"), [["all", "All planes"], ["axial", "Axial"], ["coronal", "Coronal"], ["sagittal", "Sagittal"]], (name) => {
    viewer.plane(name);
    choose($("planes"), viewer.planeName);
  });
  choice($("tools"), [["look", "Look", "V"], ["draw", "Draw", "D"], ["erase", "Erase", "E"]], setTool);
  choose($("tools"), "look");
  viewer.onWhere = (place, mm) => {
    const name = state.structures[place - 1]?.name;
    const where = Array.from(mm).slice(0, 3).map((x) => Math.round(x) + 0);
    $("where").textContent = `${state.scan.volume ? `x ${where[0]}, y ${where[1]}, z ${where[2]} mm` : ""} ${name ? `· ${name}` : ""}`;
  };
  viewer.onDrawn = () => {
    state.changed = true;
    $("save-note").textContent = "";
    showStructures();
  };
  const pick = (id) => () => $(id).click();
  for (const [button, input] of [["add", "file"], ["empty-add", "file"], ["add-dicom", "folder"]]) $(button).addEventListener("click", pick(input));
  for (const input of ["file", "folder"])
    $(input).addEventListener("change", async () => {
      const files = Array.from($(input).files);
      $(input).value = "";
      await addFiles(files);
    });
  $("opacity").addEventListener("input", () => viewer.opacity(Number($("opacity").value)));
  $("result").addEventListener("change", () => doing(async () => viewer.show($("result").checked ? await server.image(state.scan.id, true) : state.image)));
  $("task").addEventListener("change", () => (showTask(), showButtons()));
  $("predict").addEventListener("click", predict);
  $("only-toggle").addEventListener("click", toggleOnly);
  $("cancel").addEventListener("click", () => state.job && server.cancel(state.job).catch((error) => say(error.message, true)));
  $("new-structure").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("new-name").value.trim();
    $("new-name").value = "";
    if (name) addStructure(name);
  });
  $("undo").addEventListener("click", () => viewer.undo());
  $("redo").addEventListener("click", () => viewer.redo());
  for (const id of ["size", "fill"]) $(id).addEventListener("input", () => resize(0));
  $("save").addEventListener("click", save);
  $("next").addEventListener("click", nextScan);
  $("message-close").addEventListener("click", () => ($("message").hidden = true));
  $("help").addEventListener("click", () => $("keys").showModal());
  for (const kind of ["dragenter", "dragover"])
    window.addEventListener(kind, (event) => {
      event.preventDefault();
      $("view").classList.add("over");
    });
  window.addEventListener("dragleave", (event) => event.relatedTarget === null && $("view").classList.remove("over"));
  window.addEventListener("drop", async (event) => {
    event.preventDefault();
    $("view").classList.remove("over");
    await addFiles(await dropped(event.dataTransfer.items));
  });
  window.addEventListener("beforeunload", (event) => state.changed && event.preventDefault());
  connectKeys(viewer, {
    save, predict, next: nextScan, tool: setTool, resize, structure: (index) => chooseStructure(index, true),
    help: () => $("keys").showModal(),
    hide: () => {
      $("opacity").value = Number($("opacity").value) ? 0 : 0.5;
      viewer.opacity(Number($("opacity").value));
    },
  });
}

async function start() {
  connect();
  if (!document.createElement("canvas").getContext("webgl2")) return say("The picture needs WebGL 2, which this browser has not.", true);
  await viewer.attach();
  viewer.opacity(Number($("opacity").value));
  await doing(async () => {
    state.tasks = await server.tasks();
    await loadLists();
  });
  const running = (await server.jobs().catch(() => [])).filter((job) => ["waiting", "running"].includes(job.state)).pop();
  if (running) watch(running.id);
  const first = state.scans.find((scan) => scan.state !== "saved") ?? state.scans[0];
  if (first) await open(first.id);
}

// Playwright waits for this.
window.workbench = { viewer, state, ready: start() };
