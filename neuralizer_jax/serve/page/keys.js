// The keys of the page. Those of the picture arrive as `workbench-key`, since the viewer has keys of its own.
const MOVES = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
const MOVES_IN = {
  coronal: { ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], PageUp: [0, 1, 0], PageDown: [0, -1, 0] },
  sagittal: { ArrowLeft: [0, -1, 0], ArrowRight: [0, 1, 0], ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], PageUp: [1, 0, 0], PageDown: [-1, 0, 0] },
};

export function connectKeys(viewer, actions) {
  const withControl = (key, shift) =>
    ({ z: () => (shift ? viewer.redo() : viewer.undo()), y: () => viewer.redo(), s: actions.save })[key];

  const plain = (key, onCanvas) => {
    const move = { ...MOVES, ...MOVES_IN[viewer.planeName] }[key];
    if (onCanvas && viewer.shape && move) return () => viewer.move(...move);
    if (onCanvas && key === "Enter") return () => viewer.drawAtCross();
    if (/^[1-9]$/.test(key)) return () => actions.structure(Number(key) - 1);
    return {
      d: () => actions.tool("draw"), e: () => actions.tool("erase"), v: () => actions.tool("look"),
      Escape: () => actions.tool("look"), "[": () => actions.resize(-2), "]": () => actions.resize(2),
      p: actions.predict, s: actions.save, n: actions.next, h: actions.hide, "?": actions.help,
    }[key];
  };

  const onKey = (event, onCanvas) => {
    if (event.target.closest?.("input:not([type=range],[type=checkbox]), select, textarea, dialog")) return;
    if (document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = event.ctrlKey || event.metaKey ? withControl(key, event.shiftKey) : event.altKey ? null : plain(key, onCanvas);
    if (!action) return;
    event.preventDefault();
    action();
  };
  window.addEventListener("keydown", (event) => onKey(event, false));
  window.addEventListener("workbench-key", (event) => onKey(event.detail, true));
}
