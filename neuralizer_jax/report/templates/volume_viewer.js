// The interactive view of a page: reads #data, shows it with niivue, and connects the controls and the table.
"use strict";
(async () => {
  const element = (id) => document.getElementById(id);
  if (!document.createElement("canvas").getContext("webgl2")) return;
  const data = JSON.parse(element("data").textContent);

  element("view").hidden = false;
  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1],
    crosshairColor: [0.9, 0.9, 0.2, 0.6],
    crosshairGap: 4,
    crosshairWidth: 0.5,
    dragAndDropEnabled: false,
    fontColor: [1, 1, 1, 1],
    logLevel: "error",
    multiplanarLayout: 3, // a row
    multiplanarShowRender: 0, // never
    scrollRequiresFocus: true,
    showAllOrientationMarkers: true,
    tileMargin: -1,
  });
  await viewer.attachToCanvas(element("canvas"));
  const scan = await niivue.NVImage.loadFromBase64({ base64: data.scan, name: "scan.nii.gz", colormap: "gray", cal_min: 0, cal_max: 255 });
  const labels = await niivue.NVImage.loadFromBase64({ base64: data.labels, name: "labels.nii.gz", opacity: 0.5 });
  const channel = (index) => [0, ...data.colours.map((colour) => colour[index])];
  labels.setColormapLabel({
    R: channel(0), G: channel(1), B: channel(2), A: [0, ...data.colours.map(() => 255)],
    I: [0, ...data.colours.map((_, index) => index + 1)], labels: ["", ...data.names],
  });

  viewer.onLocationChange = (location) => {
    const name = ["", ...data.names][Math.round(location.values[1]?.value ?? 0)] ?? "";
    const mm = Array.from(location.mm).slice(0, 3).map((value) => Math.round(value) + 0);
    element("where").textContent = `x ${mm[0]}, y ${mm[1]}, z ${mm[2]} mm ${name && "· " + name}`;
  };
  viewer.addVolume(scan);
  viewer.addVolume(labels);
  viewer.setSliceType(viewer.sliceTypeMultiplanar);
  const go = (mm) => {
    viewer.scene.crosshairPos = viewer.mm2frac(mm);
    viewer.createOnLocationChange();
    viewer.drawScene();
  };
  go(data.start);

  const opacity = () => viewer.setOpacity(1, element("shown").checked ? Number(element("opacity").value) : 0);
  element("shown").addEventListener("change", opacity);
  element("opacity").addEventListener("input", opacity);
  element("outlines").addEventListener("change", () => viewer.setAtlasOutline(element("outlines").checked ? 1 : 0));
  for (const button of document.querySelectorAll("button[data-place]")) {
    const place = data.places[button.dataset.place];
    if (!place) continue;
    button.disabled = false;
    button.addEventListener("click", () => {
      go(place);
      element("view").scrollIntoView({ block: "nearest" });
    });
  }
  element("no-view").hidden = true;
})();
