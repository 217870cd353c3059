// A slider moves the edge between two pictures, or chooses one of several.
addEventListener("input", ({target}) => {
  const box = target.parentElement;
  if (box.classList.contains("compare")) return box.style.setProperty("--at", target.value + "%");
  const steps = box.querySelectorAll("figure");
  steps.forEach((step, i) => step.hidden = i != target.value);
  target.setAttribute("aria-valuetext", steps[target.value].textContent);
});
