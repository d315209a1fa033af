"use strict";
(() => {
  const list = document.getElementById("steps");
  if (!list) return;
  document.documentElement.classList.add("js");
  const steps = [...list.children].filter((one) => one.classList.contains("step"));
  const find = document.getElementById("find");
  const state = document.getElementById("state");
  const count = document.getElementById("count");

  const filter = () => {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const step of steps) {
      const fits = (!state.value || step.dataset.state === state.value) &&
        (!wanted || step.textContent.toLowerCase().includes(wanted));
      step.classList.toggle("none", !fits);
      shown += fits;
    }
    count.textContent = shown === steps.length ? "" : `${shown} of ${steps.length}`;
  };
  let timer = 0;
  find.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
  state.addEventListener("change", filter);

  const key = (step, name) => name === "name" ? step.dataset.id : name === "state" ? step.dataset.state :
    Number(step.dataset[name] || "-1");
  const heads = [...document.querySelectorAll(".head button")];
  for (const head of heads) {
    head.addEventListener("click", () => {
      const way = head.dataset.way === "1" ? -1 : 1;
      for (const other of heads) delete other.dataset.way;
      head.dataset.way = way;
      const name = head.dataset.key;
      const order = name === "order" ? [...steps] : [...steps].sort((one, other) => {
        const a = key(one, name), b = key(other, name);
        return way * (a < b ? -1 : a > b ? 1 : 0);
      });
      if (name === "order" && way === -1) order.reverse();
      list.append(...order);
    });
  }

  const all = document.getElementById("all");
  all.addEventListener("click", () => {
    const open = all.dataset.open !== "1";
    all.dataset.open = open ? "1" : "";
    all.textContent = open ? "close all" : "open all";
    for (const step of steps) if (step.tagName === "DETAILS" && !step.classList.contains("none")) step.open = open;
  });

  const byId = new Map(steps.map((step) => [step.dataset.id, step]));
  const show = (step) => {
    if (step.tagName === "DETAILS") step.open = true;
    step.classList.remove("none");
    step.scrollIntoView({ block: "start", behavior: "smooth" });
  };
  for (const bar of document.querySelectorAll("[data-step]")) {
    const step = byId.get(bar.dataset.step);
    if (!step) continue;
    bar.style.cursor = "pointer";
    bar.addEventListener("click", () => show(step));
    bar.addEventListener("mouseenter", () => step.classList.add("lit"));
    bar.addEventListener("mouseleave", () => step.classList.remove("lit"));
  }
  const target = () => { const one = document.getElementById(location.hash.slice(1)); if (one && one.classList.contains("step")) show(one); };
  addEventListener("hashchange", target);
  target();
})();
