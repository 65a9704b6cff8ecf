"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const live = one("#live");
  if (!live) return;

  const EVERY = 3000; // milliseconds between questions to our own server; none while nobody looks
  const status = one("#status");
  const pause = one("#pause");
  let stamp = live.dataset.stamp;
  let told = new Date();
  let waiting = false;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    const is = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(is));
    pause.textContent = is ? "Go on" : "Pause";
  });

  /* The server makes the markup, the same as on the first visit; what was chosen and where one was stays. */
  const show = (text) => {
    const picked = new Set(all("input:checked", live).map((input) => input.id));
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    live.innerHTML = text;
    for (const id of picked) { const input = id && document.getElementById(id); if (input) input.checked = true; }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.dispatchEvent(new Event("understudy:drawn"));
  };
  const ask = async () => {
    if (waiting) return;
    waiting = true;
    const address = new URL(location.href);
    address.searchParams.set("part", "1");
    try {
      const answer = await fetch(address, { headers: stamp ? { "If-None-Match": stamp } : {}, cache: "no-store" });
      if (answer.ok) {
        stamp = answer.headers.get("etag") ?? "";
        /* A chart in use is left as it is: the reader is at a step of it. */
        if (!one(".plot:focus, .plot:hover", live)) show(await answer.text());
        else stamp = "";
      }
      if (answer.ok || answer.status === 304) {
        told = new Date();
        status.hidden = true;
      }
    } catch {
      status.textContent = `The server does not answer; shown is ${told.toLocaleTimeString()}.`;
      status.hidden = false;
    }
    waiting = false;
  };
  setInterval(() => {
    if (!document.hidden && pause.getAttribute("aria-pressed") !== "true") ask();
  }, EVERY);

  /* What a form asks for is drawn at once; without this script its button does it. */
  const forms = all("form#asked, form.filter");
  const go = (form) => {
    const address = new URL(form.action);
    address.search = new URLSearchParams(new FormData(form)).toString();
    history.replaceState(null, "", address);
    stamp = "";
    ask();
  };
  let later = 0;
  for (const form of forms) {
    form.addEventListener("input", () => {
      const shown = one("#smoothing", form);
      if (shown) shown.textContent = one("[name=smooth]", form).value;
      clearTimeout(later);
      later = setTimeout(() => go(form), 250);
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); go(form); });
  }
})();
