// A button plays its take, trigger('select', {name}), or deletes it at once, trigger('delete', {name}), or all of them
// after a question, trigger('clear').
let pressed = null; // the button, so that the one in its place gets the keyboard once the list is written anew

element.addEventListener("click", ({ target }) => {
  const { all, play, take } = target.dataset;
  if (all && confirm(`Delete everything that was kept (${all})? It cannot be undone.`)) trigger("clear");
  const kind = play ? "[data-play]" : "[data-take]";
  if (play || take) {
    pressed = { kind, row: [...element.querySelectorAll(kind)].indexOf(target) };
    trigger(play ? "select" : "delete", { name: play || take });
  }
});
watch("value", () => {
  const left = pressed ? element.querySelectorAll(pressed.kind) : [];
  if (left.length) left[Math.min(pressed.row, left.length - 1)].focus();
  pressed = null;
});
element.addEventListener("loadedmetadata", ({ target }) => {
  target.classList.toggle("blind", !target.videoWidth); // a sound alone, of which nothing is to be seen
}, true);
element.addEventListener("error", ({ target }) => {
  if (target.matches("video")) target.replaceWith("This browser cannot play it.");
}, true);
