// Records the camera and the microphone for `seconds`, or takes a file, and hands it to the page: trigger('submit').
const seconds = props.seconds;
const find = (name) => element.querySelector(`[data-part=${name}]`);
const [preview, record, chosen, words] = ["preview", "record", "file", "words"].map(find);
let recorder = null;

const say = (text) => { words.textContent = text; };

async function submit(blob, name) {
  if (blob.size > props.most_bytes) {
    say(`${name} has ${Math.ceil(blob.size / 1e6)} MB, and ${props.most_bytes / 1e6} are the most.`);
    return;
  }
  say("Sending it to this page's own server ..");
  const suffix = name.includes(".") ? name.slice(name.lastIndexOf(".")) : "";
  try {
    // A name of its own: two visitors may send the same clip, and each one's goes when its visitor does
    const { path } = await upload(new File([blob], `${Date.now()}-${Math.random().toString(36).slice(2)}${suffix}`));
    say("");
    trigger("submit", { path, name });
  } catch (error) {
    say(`It could not be sent: ${error.message || error}`);
  }
}

async function start() {
  if (!navigator.mediaDevices) {
    say("This browser gives no camera to a page that is neither on this machine nor https. Choose a clip instead.");
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 }, audio: true });
  } catch (error) {
    say(`No camera and microphone: ${error.message}. You can choose a clip instead.`);
    return;
  }
  preview.srcObject = stream;
  preview.hidden = false;
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => {
    clearInterval(clock);
    stream.getTracks().forEach((track) => track.stop());
    preview.srcObject = null;
    preview.hidden = true;
    record.textContent = "Record";
    const suffix = recorder.mimeType.includes("mp4") ? ".mp4" : ".webm";
    recorder = null;
    submit(new Blob(parts), `recording${suffix}`);
  };
  recorder.start();
  let left = seconds;
  const show = () => {
    record.textContent = `Stop (${left} s left)`;
    if (left-- <= 0 && recorder) recorder.stop();
  };
  const clock = setInterval(show, 1000);
  show();
  say("Recording.");
}

record.addEventListener("click", () => (recorder ? recorder.stop() : start()));
chosen.addEventListener("change", () => {
  if (chosen.files.length) submit(chosen.files[0], chosen.files[0].name);
  chosen.value = "";
});
