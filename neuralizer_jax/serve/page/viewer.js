// The picture: a scan in three planes, and its labels as a drawing that can be changed and undone.
// A label is drawn as its place in the list of structures, counted from 1: the viewer holds 8 bits a voxel.
import { readVoxels } from "./nifti.js";

const MOST_STRUCTURES = 255;
const PLANES = { all: 3, axial: 0, coronal: 1, sagittal: 2 };
const MOST_UNDO = 200;

export class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.onWhere = () => {};
    this.onDrawn = () => {};
    this.viewer = new niivue.Niivue({
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.9, 0.9, 0.2, 0.6],
      crosshairGap: 6,
      crosshairWidth: 0.5,
      dragAndDropEnabled: false,
      fontColor: [1, 1, 1, 1],
      logLevel: "error",
      multiplanarLayout: 0,
      multiplanarShowRender: 0, // never
      showAllOrientationMarkers: true,
      tileMargin: -1,
    });
    this.undone = [];
    this.done = [];
    // The viewer's own keys are not those of the page.
    for (const kind of ["keydown", "keyup"])
      window.addEventListener(kind, (event) => event.target === canvas && this.onKey(event), { capture: true });
  }

  async attach() {
    await this.viewer.attachToCanvas(this.canvas);
    this.viewer.onLocationChange = (location) => this.onWhere(this.place(location.vox), location.mm);
    this.viewer.onDrawingChanged = (what) => what === "draw" && this.record();
  }

  onKey(event) {
    event.stopImmediatePropagation();
    if (event.type === "keydown")
      window.dispatchEvent(new CustomEvent("workbench-key", { detail: event }));
  }

  // Shows a scan, an uncompressed NIfTI file.
  async open(buffer, isVolume) {
    const { shape, mm3 } = readVoxels(buffer);
    Object.assign(this, { shape, mm3, isVolume });
    while (this.viewer.volumes.length) this.viewer.removeVolume(this.viewer.volumes[0]);
    this.viewer.closeDrawing();
    await this.show(buffer);
    this.plane("all");
    this.viewer.createEmptyDrawing();
    this.viewer.opts.isOrientationTextVisible = isVolume;
    this.viewer.scene.crosshairPos = [0.5, 0.5, 0.5];
    this.forget();
    this.viewer.drawScene();
  }

  // Shows another image on the same or other voxels; labels stay where the voxels are the same.
  async show(buffer) {
    const file = new File([buffer], "scan.nii");
    const image = await niivue.NVImage.loadFromFile({ file, name: "scan.nii", colormap: "gray", cal_min: 0, cal_max: 255 });
    const old = this.viewer.volumes[0];
    this.viewer.addVolume(image);
    if (old) this.viewer.removeVolume(old);
  }

  plane(name) {
    this.planeName = this.isVolume ? name : "axial";
    this.viewer.setSliceType(PLANES[this.planeName]);
  }

  // Sets the structures: [{value, name, colour}].
  structures(structures) {
    if (structures.length > MOST_STRUCTURES)
      throw new Error(`${structures.length} structures, expected at most ${MOST_STRUCTURES} in the workbench`);
    const channel = (from) => [0, ...structures.map((x) => parseInt(x.colour.slice(from, from + 2), 16))];
    this.viewer.setDrawColormap({
      R: channel(1), G: channel(3), B: channel(5), A: [0, ...structures.map(() => 255)],
      I: [0, ...structures.map((_, index) => index + 1)], labels: ["", ...structures.map((x) => x.name)],
    });
    this.values = structures.map((x) => x.value);
  }

  // Shows labels, an uncompressed NIfTI file on the voxels of the scan.
  labels(buffer) {
    const { voxels } = readVoxels(buffer);
    const places = new Map(this.values.map((value, index) => [value, index + 1]));
    const bitmap = this.viewer.drawBitmap;
    let [last, place] = [0, 0];
    for (let i = 0; i < voxels.length; i++) {
      if (voxels[i] !== last) [last, place] = [voxels[i], places.get(voxels[i]) ?? 0];
      bitmap[i] = place;
    }
    this.viewer.refreshDrawing(true);
    this.forget();
  }

  // The labels of all voxels.
  drawn() {
    const [values, bitmap] = [[0, ...this.values], this.viewer.drawBitmap];
    const drawn = new Int32Array(bitmap.length);
    for (let i = 0; i < bitmap.length; i++) drawn[i] = values[bitmap[i]];
    return drawn;
  }

  // How many voxels each place has.
  counts() {
    const counts = new Uint32Array(256);
    for (const place of this.viewer.drawBitmap) counts[place]++;
    return counts;
  }

  opacity(value) {
    this.viewer.setDrawOpacity(value);
  }

  // `place`: what to draw; 0 erases; null: nothing is drawn.
  pen(place, size, filled) {
    this.penPlace = place;
    this.viewer.setDrawingEnabled(place !== null);
    this.canvas.classList.toggle("draw", place !== null);
    if (place === null) return;
    this.viewer.opts.penSize = size;
    this.viewer.setPenValue(place, filled && place > 0);
  }

  // Draws at the cross, in the plane that is shown.
  drawAtCross() {
    if (this.penPlace == null) return false;
    this.viewer.drawPenAxCorSag = { coronal: 1, sagittal: 2 }[this.planeName] ?? 0;
    this.viewer.drawPt(...this.viewer.frac2vox(this.viewer.scene.crosshairPos), this.penPlace);
    this.viewer.drawPenAxCorSag = -1;
    this.viewer.refreshDrawing(true);
    this.record();
    return true;
  }

  move(x, y, z) {
    this.viewer.moveCrosshairInVox(x, y, z);
  }

  // Goes to the middle of a structure, in the plane that shows most of it.
  goTo(place) {
    const [nx, ny, nz] = this.shape;
    const bitmap = this.viewer.drawBitmap;
    const inPlane = new Uint32Array(nz);
    for (let z = 0, i = 0; z < nz; z++) for (let n = 0; n < nx * ny; n++, i++) if (bitmap[i] === place) inPlane[z]++;
    const z = inPlane.indexOf(Math.max(...inPlane));
    const inside = [];
    for (let n = 0; n < nx * ny; n++) if (bitmap[z * nx * ny + n] === place) inside.push(n);
    if (!inside.length) return;
    const middle = inside[Math.floor(inside.length / 2)];
    const [y, row] = [Math.floor(middle / nx), inside.filter((n) => Math.floor(n / nx) === Math.floor(middle / nx))];
    const x = row[Math.floor(row.length / 2)] % nx;
    this.viewer.scene.crosshairPos = this.viewer.vox2frac([x, y, z]);
    this.viewer.createOnLocationChange();
    this.viewer.drawScene();
  }

  place(voxel) {
    const [x, y, z] = Array.from(voxel, Math.round);
    return this.viewer.drawBitmap?.[x + this.shape[0] * (y + this.shape[1] * z)] ?? 0;
  }

  // Removes a structure: those after it move one place down.
  remove(place) {
    const bitmap = this.viewer.drawBitmap;
    for (let i = 0; i < bitmap.length; i++) if (bitmap[i] >= place) bitmap[i] = bitmap[i] === place ? 0 : bitmap[i] - 1;
    this.viewer.refreshDrawing(true);
    this.forget();
  }

  // Undo: what a stroke changed, found by comparison with the drawing before it.
  forget() {
    this.before = this.viewer.drawBitmap.slice();
    [this.done, this.undone] = [[], []];
  }

  record() {
    const after = this.viewer.drawBitmap;
    const where = [];
    for (let i = 0; i < after.length; i++) if (after[i] !== this.before[i]) where.push(i);
    if (!where.length) return;
    const change = { where: Uint32Array.from(where), old: new Uint8Array(where.length), new: new Uint8Array(where.length) };
    where.forEach((i, n) => ([change.old[n], change.new[n], this.before[i]] = [this.before[i], after[i], after[i]]));
    this.done = [...this.done.slice(1 - MOST_UNDO), change];
    this.undone = [];
    this.onDrawn();
  }

  undo() {
    this.turn(this.done, this.undone, "old");
  }

  redo() {
    this.turn(this.undone, this.done, "new");
  }

  turn(from, to, which) {
    const change = from.pop();
    if (!change) return;
    to.push(change);
    change.where.forEach((i, n) => (this.before[i] = this.viewer.drawBitmap[i] = change[which][n]));
    this.viewer.refreshDrawing(true);
    this.onDrawn();
  }
}
