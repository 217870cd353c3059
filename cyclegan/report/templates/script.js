// A slider either moves the edge between two pictures, or shows one step of many.
addEventListener("input", ({target}) => {
  const box = target.parentElement;
  if (box.classList.contains("compare")) return box.style.setProperty("--at", target.value + "%");
  const steps = box.querySelectorAll("figure");
  steps.forEach((step, i) => step.hidden = i != target.value);
  target.setAttribute("aria-valuetext", steps[target.value].textContent);
});
