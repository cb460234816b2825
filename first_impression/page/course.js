// A click on the course, or its slider, moves the clip there and asks for the moment: trigger('select', {time}).
const parts = () => ({
  clip: document.querySelector("#player :is(video, audio)"),
  course: element.querySelector(".course"),
  seek: element.querySelector(".seek"),
  slider: element.querySelector("input[type=range]"),
  head: element.querySelector(".head"),
});

function show(time) {
  const { course, slider, head } = parts();
  if (!course) return;
  const [start, end] = [+course.dataset.start, +course.dataset.end];
  head.style.left = `${(100 * (Math.min(Math.max(time, start), end) - start)) / (end - start)}%`;
  slider.value = time;
  slider.setAttribute("aria-valuetext", `${time.toFixed(1)} seconds`);
}

function move(time) {
  const { clip } = parts();
  show(time);
  if (clip) clip.currentTime = time;
}

element.addEventListener("click", (event) => {
  const { course, seek } = parts();
  if (!seek || !seek.contains(event.target)) return;
  const box = seek.getBoundingClientRect();
  const [start, end] = [+course.dataset.start, +course.dataset.end];
  const time = start + ((event.clientX - box.left) / box.width) * (end - start);
  move(time);
  trigger("select", { time });
});
element.addEventListener("input", (event) => move(+event.target.value));
element.addEventListener("change", (event) => trigger("select", { time: +event.target.value }));
document.addEventListener("timeupdate", (event) => {
  if (event.target === parts().clip && event.target.currentTime) show(event.target.currentTime);
}, true);
