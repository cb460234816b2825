// Where the browser cannot play a take, or its sound alone, frames of it stand in the place of a black box.
function refuse(event) {
  const [media, instead] = [event.target, element.querySelector(".unplayable")];
  if (!media.matches("video, audio")) return;
  if (event.type === "loadedmetadata" && (media.localName === "audio" || media.videoWidth)) return;
  media.hidden = event.type === "error";
  media.classList.add("blind");
  instead.hidden = false;
}
element.addEventListener("error", refuse, true);
element.addEventListener("loadedmetadata", refuse, true);
