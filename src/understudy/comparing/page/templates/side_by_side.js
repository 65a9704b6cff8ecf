"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  /* One problem at a time; without this script all of them stand below each other. */
  const leaves = all(".leaf");
  const entries = all(".index li");
  const nothing = one(".nothing");
  if (!leaves.length) return;
  document.body.classList.add("leafing");
  one(".index .controls").hidden = false;

  let kind = "";
  let current = 0;
  const shown = () => leaves.map((_, index) => index).filter((index) => !kind || leaves[index].dataset.verdict === kind);
  const open = (index, { focus = false } = {}) => {
    current = index;
    leaves.forEach((leaf, place) => leaf.classList.toggle("current", place === index));
    entries.forEach((entry, place) => {
      entry.classList.toggle("current", place === index);
      if (place === index) one("a", entry).setAttribute("aria-current", "true");
      else one("a", entry).removeAttribute("aria-current");
    });
    if (focus) { /* not when the page opens: it begins at its top */
      entries[index].scrollIntoView({ block: "nearest" });
      history.replaceState(null, "", `#${leaves[index].id}`);
      const top = leaves[index].getBoundingClientRect().top + window.scrollY;
      if (window.scrollY > top) window.scrollTo(0, top);
      leaves[index].focus({ preventScroll: true });
    }
  };
  const move = (by) => {
    const list = shown();
    const here = list.indexOf(current);
    const next = here < 0 ? list[0] : list[Math.max(0, Math.min(list.length - 1, here + by))];
    if (next !== undefined) open(next, { focus: true });
  };
  const filter = (verdict) => {
    kind = verdict;
    const list = shown();
    entries.forEach((entry, index) => { entry.hidden = !list.includes(index); });
    nothing.hidden = list.length > 0;
    if (list.length && !list.includes(current)) open(list[0]);
  };
  entries.forEach((entry, index) => one("a", entry).addEventListener("click", (event) => {
    event.preventDefault();
    open(index, { focus: true });
  }));
  all("[name=show]").forEach((input) => input.addEventListener("change", () => filter(input.value)));
  all("[data-move]").forEach((button) => button.addEventListener("click", () => move(Number(button.dataset.move))));

  /* Blind reading. */
  const button = one("#blind");
  const title = document.title;
  const setBlind = (blind) => {
    document.body.classList.toggle("blind", blind);
    leaves.forEach((leaf) => leaf.classList.remove("revealed"));
    button.setAttribute("aria-pressed", String(blind));
    button.textContent = blind ? "Show who is who" : "Read blind";
    document.title = blind ? "Two models · Understudy" : title;
    if (blind && kind) {
      one("[name=show][value='']").checked = true;
      filter("");
    }
  };
  button.addEventListener("click", () => setBlind(!document.body.classList.contains("blind")));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select, textarea, input, .wide, pre")) return;
    if (event.key === "j" || event.key === "ArrowRight") move(1);
    else if (event.key === "k" || event.key === "ArrowLeft") move(-1);
    else if (event.key === "b") button.click();
    else if (event.key === "r") leaves[current].classList.toggle("revealed");
    else return;
    event.preventDefault();
  });

  const fromAddress = () => leaves.findIndex((leaf) => `#${leaf.id}` === location.hash);
  window.addEventListener("hashchange", () => { if (fromAddress() >= 0) open(fromAddress()); });
  one("[name=show][value='']").checked = true;
  open(Math.max(0, fromAddress()));
})();
