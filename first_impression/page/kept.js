// A button deletes its take at once, trigger('delete', {name}), and all of them after a question, trigger('clear').
let row = -1; // of the button that was pressed, so that the next one gets its place under the keyboard

element.addEventListener("click", ({ target }) => {
  if (target.dataset.all && confirm(`Delete everything that was kept (${target.dataset.all})? It cannot be undone.`)) {
    trigger("clear");
  } else if (target.dataset.take) {
    row = [...element.querySelectorAll("[data-take]")].indexOf(target);
    trigger("delete", { name: target.dataset.take });
  }
});
watch("value", () => {
  const left = element.querySelectorAll("[data-take]");
  if (row >= 0 && left.length) left[Math.min(row, left.length - 1)].focus();
  row = -1;
});
