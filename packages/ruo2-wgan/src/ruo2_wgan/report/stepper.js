// One of several pictures at a time, chosen with a slider. Without this script all of them are there, one below another.
"use strict";

for (const stepper of document.querySelectorAll(".stepper")) {
  const slider = stepper.querySelector("input");
  const pictures = [...stepper.querySelectorAll("figure")];
  const show = () => {
    pictures.forEach((picture, place) => (picture.hidden = place !== slider.valueAsNumber));
    slider.setAttribute("aria-valuetext", pictures[slider.valueAsNumber].querySelector("figcaption").textContent);
  };
  slider.addEventListener("input", show);
  stepper.querySelector("label").hidden = false;
  show();
}
