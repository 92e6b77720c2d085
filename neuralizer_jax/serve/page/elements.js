// Elements of the page: to find and to make them, and the message at the bottom.
export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function say(text, wrong = false) {
  $("message-text").textContent = text;
  $("message").classList.toggle("wrong", wrong);
  $("message").hidden = false;
  clearTimeout(say.timer);
  if (!wrong) say.timer = setTimeout(() => ($("message").hidden = true), 6000);
}

// A row of buttons of which one is chosen: entries are its name, its text and its key.
export function choice(box, entries, choose) {
  box.replaceChildren(
    ...entries.map(([name, text, key]) => {
      const button = make("button", { type: "button", textContent: text });
      if (key) button.append(" ", make("kbd", { textContent: key }));
      button.setAttribute("role", "radio");
      button.dataset.name = name;
      button.addEventListener("click", () => choose(name));
      return button;
    }),
  );
}

export function choose(box, name) {
  for (const button of box.children) button.setAttribute("aria-checked", button.dataset.name === name);
}
