// The HTTP calls. The token is in the address that the command printed, after `#`, which browsers do not send.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

async function call(method, path, body, type) {
  const headers = { Authorization: `Bearer ${token}` };
  if (type) headers["Content-Type"] = type;
  let answer;
  try {
    answer = await fetch(`api/${path}`, { method, headers, body });
  } catch {
    throw new Error("The workbench does not answer. Is `neuralizer serve` still running?");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Error("Open the address that `neuralizer serve` printed, with its token.");
  const text = await answer.text();
  let reason = text;
  try {
    reason = JSON.parse(text).error;
  } catch {}
  throw new Error(reason || `error ${answer.status}`);
}

const json = async (method, path, body) =>
  (await call(method, path, body && JSON.stringify(body), body && "application/json")).json();
const bytes = async (path) => (await call("GET", path)).arrayBuffer();

export const scans = () => json("GET", "scans");
export const scan = (id) => json("GET", `scans/${id}`);
export const image = (id, result) => bytes(`scans/${id}/image?result=${result}`);
export const labels = (id, source) => bytes(`scans/${id}/labels?source=${source}`);
export const structures = (id, source) => json("GET", `scans/${id}/structures?source=${source}`);
export const examples = () => json("GET", "examples");
export const tasks = () => json("GET", "tasks");
export const jobs = () => json("GET", "jobs");
export const predict = (wanted) => json("POST", "jobs", wanted);
export const cancel = (job) => json("DELETE", `jobs/${job}`);

export async function addScan(files) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.path || file.webkitRelativePath || file.name);
  return (await call("POST", "scans", form)).json();
}

export async function saveExample(id, labelFile, structures) {
  const form = new FormData();
  form.append("labels", labelFile, "labels.nii.gz");
  form.append("structures", JSON.stringify(structures));
  return (await call("POST", `scans/${id}/example`, form)).json();
}
