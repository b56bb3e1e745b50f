// The counter works without this script. With it a photo is sent as soon as it is taken, made small first, and codes
// are scanned live where the browser can.
"use strict";

document.documentElement.classList.add("scripted");

// The keyboard goes on where the page says, before the page is drawn and also when the browser would leave it out.
if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();

const LONGEST_SIDE = 1600; // pixels: enough for a code that fills a third of the picture
const SMALL_ENOUGH = 400000; // bytes that are sent as they are

// The same photo in fewer bytes; the photo itself where the browser cannot make it smaller.
const reduced = async (file) => {
  if (file.size <= SMALL_ENOUGH || !window.createImageBitmap || !window.DataTransfer) return file;
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
    return blob ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : file;
  } catch {
    return file;
  }
};

document.querySelectorAll("form[data-photo-form]").forEach((form) => {
  const input = form.elements.photo;
  input.addEventListener("change", async () => {
    if (!input.files.length) return;
    form.classList.add("busy");
    const small = await reduced(input.files[0]);
    if (small !== input.files[0]) {
      const carrier = new DataTransfer();
      carrier.items.add(small);
      input.files = carrier.files;
    }
    form.submit();
  });
});

const offerScanning = async () => {
  if (!("BarcodeDetector" in window) || !navigator.mediaDevices?.getUserMedia) return;
  const formats = await BarcodeDetector.getSupportedFormats();
  if (!formats.includes("qr_code")) return;
  const button = document.querySelector("[data-scan]");
  const box = document.querySelector("[data-live]");
  const form = document.querySelector("form[data-code-form]");
  if (!button || !box || !form) return;
  const video = box.querySelector("video");
  const says = box.querySelector("[data-live-says]");
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  let stream = null;
  form.elements.code.addEventListener("input", () => { form.elements.scanned.value = ""; });

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    box.hidden = true;
  };

  const look = async () => {
    if (!stream) return;
    let found = [];
    try {
      found = await detector.detect(video);
    } catch {
      // No picture yet.
    }
    if (stream && found.length) {
      stop();
      form.elements.code.value = found[0].rawValue;
      form.elements.scanned.value = "yes";
      form.submit();
      return;
    }
    setTimeout(look, 120);
  };

  button.hidden = false;
  button.addEventListener("click", async () => {
    box.hidden = false;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      video.hidden = true;
      says.textContent = says.dataset.refused;
      return;
    }
    video.hidden = false;
    video.srcObject = stream;
    await video.play();
    box.scrollIntoView({ block: "center" });
    look();
  });
  box.querySelector("[data-scan-stop]").addEventListener("click", stop);
  window.addEventListener("pagehide", stop);
};

offerScanning();
