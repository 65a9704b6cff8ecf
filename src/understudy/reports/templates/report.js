"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  /* Charts: the step under the pointer, or chosen by the arrow keys, is written in the legend. */
  const SVG = "http://www.w3.org/2000/svg";
  const place = (value, [low, high, start, end]) => start + (value - low) / (high - low) * (end - start);
  const followed = new WeakSet();
  const follow = (plot) => {
    if (followed.has(plot)) return;
    followed.add(plot);
    const data = JSON.parse(plot.dataset.chart);
    const figure = plot.closest("figure");
    const cursor = one(".cursor", plot);
    const line = one("line", cursor);
    const step = one(".at b", figure);
    const values = all(".key b", figure);
    const swatches = all(".key .swatch", figure);
    const before = [step.textContent, ...values.map((b) => b.textContent)];
    const dots = data.values.map((_, index) => {
      const dot = document.createElementNS(SVG, "circle");
      dot.setAttribute("r", "3.2");
      dot.setAttribute("class", swatches[index].className.replace("swatch ", ""));
      cursor.append(dot);
      return dot;
    });
    let current = data.steps.length - 1;
    const show = (index) => {
      current = index;
      const x = place(data.steps[index], data.x);
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      let sum = 0;
      data.values.forEach((column, row) => {
        const value = column[index];
        sum += value ?? 0;
        dots[row].style.display = value === null ? "none" : "";
        dots[row].setAttribute("cx", x);
        const axis = row < data.shares[0] ? data.y : data.shares.slice(1);
        dots[row].setAttribute("cy", value === null ? 0 : place(data.stacked ? sum : value, axis));
        values[row].textContent = data.written[row][index];
      });
      step.textContent = data.steps[index].toLocaleString("en", { maximumFractionDigits: 3 });
      cursor.removeAttribute("hidden");
    };
    const leave = () => {
      if (document.activeElement === plot) return;
      cursor.setAttribute("hidden", "hidden");
      step.textContent = before[0];
      values.forEach((b, row) => { b.textContent = before[row + 1]; });
    };
    const nearest = (event) => {
      const frame = plot.getBoundingClientRect();
      const x = (event.clientX - frame.left) / frame.width * plot.viewBox.baseVal.width;
      let best = 0;
      data.steps.forEach((value, index) => {
        if (Math.abs(place(value, data.x) - x) < Math.abs(place(data.steps[best], data.x) - x)) best = index;
      });
      show(best);
    };
    plot.addEventListener("pointermove", nearest);
    plot.addEventListener("pointerdown", nearest);
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("focus", () => show(current));
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      const target = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: data.steps.length - 1 }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      show(Math.max(0, Math.min(data.steps.length - 1, target)));
    });
  };
  const followAll = () => all("svg.plot").forEach(follow);
  followAll();
  document.addEventListener("understudy:drawn", followAll); /* a page that draws again says so */

  /* The microscope. */
  const section = one("#rollouts");
  if (!section) return; // the page of a study has none
  const { levels, columns, words } = JSON.parse(section.dataset.columns);
  const raised = Object.fromEntries([..."-0123456789"].map((c, index) => [c, [..."⁻⁰¹²³⁴⁵⁶⁷⁸⁹"][index]]));
  const written = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    const text = value === 0 ? "0" : size < 1e-4 || size >= 1e6
      ? value.toExponential(2).replace(/e\+?(.*)/, (_, power) => `\u00a0×\u00a010${[...power].map((c) => raised[c]).join("")}`)
      : value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size)) - 1));
    return text.replaceAll("-", "−");
  };
  const rounded = (value) => String(Number(value.toPrecision(3)));

  const turns = all(".tokens", section).map((element) => ({
    element,
    tokens: all("i", element),
    figures: JSON.parse(element.dataset.figures),
    at: 0,
  }));
  const turnOf = new Map(turns.map((turn) => [turn.element, turn]));

  let chosen = 0;
  const limits = columns.map((column) => column.limit);
  const shade = (value, limit) => {
    if (value === null || value === undefined) return "";
    /* By the root: a few tokens are far off, and most differences that matter are a tenth of theirs. */
    const level = Math.min(levels, Math.floor(Math.sqrt(Math.abs(value) / limit) * levels + 0.5));
    return level ? (value < 0 ? "n" : "p") + level : "";
  };
  const paint = () => {
    const column = columns[chosen];
    for (const turn of turns) {
      const values = turn.figures.values[column.key] ?? [];
      turn.tokens.forEach((token, index) => {
        const kept = ["other", "here"].filter((name) => token.classList.contains(name));
        token.className = [shade(values[index], limits[chosen]), ...kept].filter(Boolean).join(" ");
      });
    }
    const limit = rounded(limits[chosen]);
    one(".ramp", section).classList.toggle("one-sided", !column.diverging);
    const half = rounded(limits[chosen] / 4); /* where the root is one half */
    const ends = column.diverging ? [`−${limit}`, `−${half}`, "0", half, limit] : ["0", "", half, "", limit];
    all(".ends span", section).forEach((end, index) => { end.textContent = ends[index]; });
    one(".meaning", section).replaceChildren(
      Object.assign(document.createElement("b"), { textContent: column.label }),
      `${column.unit ? ` (${column.unit})` : ""}: ${column.meaning}.`,
    );
    one(".range b", section).textContent = (column.diverging ? "±" : "0 to ") + limit;
  };
  if (columns.length && turns.length) {
    all("input[name=column]", section).forEach((input) => input.addEventListener("change", () => {
      chosen = Number(input.value);
      paint();
    }));
    all("[data-range]", section).forEach((button) => button.addEventListener("click", () => {
      const power = 10 ** Math.floor(Math.log10(limits[chosen]) + 1e-9);
      const lead = Math.round(limits[chosen] / power);
      const up = button.dataset.range === "1";
      limits[chosen] = (up ? { 1: 2, 2: 5, 5: 10 } : { 1: 0.5, 2: 1, 5: 2 })[lead] * power;
      paint();
    }));
    one(".range", section).hidden = false;
    const checked = all("input[name=column]", section).findIndex((input) => input.checked);
    chosen = Math.max(0, checked); /* browsers keep the choice over a reload */
    paint();
  }

  const logprobs = { student_logprob: "student", teacher_logprob: "teacher", behaviour_logprob: "sampler", reference_logprob: "reference" };
  const panel = one(".token", section);
  const tell = (turn, index) => {
    all("i.here", section).forEach((token) => token.classList.remove("here"));
    const token = turn.tokens[index];
    if (!token) return;
    turn.at = index;
    token.classList.add("here");
    const { ids, origins, values } = turn.figures;
    const row = (name, text, aside = "") => {
      const line = document.createElement("div");
      const term = Object.assign(document.createElement("dt"), { textContent: name });
      const figure = Object.assign(document.createElement("dd"), { textContent: text });
      if (aside) figure.append(" ", Object.assign(document.createElement("small"), { textContent: aside }));
      line.append(term, figure);
      return line;
    };
    const lines = [row("id", String(ids[index])), row("place", `${index + 1} of ${turn.tokens.length}`), row("written by", origins[index])];
    for (const [key, name] of Object.entries(logprobs)) {
      const value = values[key]?.[index];
      if (values[key]) lines.push(row(`${name} log-prob`, written(value), value === null ? "" : `${written(100 * Math.exp(value))} %`));
    }
    for (const column of columns) {
      if (values[column.key]) lines.push(row(column.label.toLowerCase(), written(values[column.key][index])));
    }
    one(".text", panel).textContent = token.textContent.includes("↵") ? token.textContent : `“${token.textContent}”`;
    one("dl", panel).replaceChildren(...lines);
    compare(ids[index], turn.figures.tops ?? {}, index);
    panel.hidden = false;
  };
  /* The likeliest tokens of teacher and student beside each other; the one that stands there is marked. */
  const compare = (id, tops, index) => {
    const table = one(".tops", panel);
    const sides = ["teacher", "student"].filter((who) => tops[who]?.[index]?.[0].length);
    table.hidden = !sides.length;
    const cell = (tag, text, changes = {}) => Object.assign(document.createElement(tag), { textContent: text, ...changes });
    one("thead tr", table).replaceChildren(...sides.map((who) => cell("th", who, { scope: "col", colSpan: 2 })));
    const count = Math.max(0, ...sides.map((who) => tops[who][index][0].length));
    one("tbody", table).replaceChildren(...Array.from({ length: count }, (_, place) => {
      const row = document.createElement("tr");
      for (const who of sides) {
        const [found, logprobs] = tops[who][index];
        const missing = place >= found.length;
        const chosen = !missing && found[place] === id;
        row.append(
          cell("td", missing ? "" : (words[found[place]] ?? `[${found[place]}]`).trim() || "␣", { className: chosen ? "chosen" : "", title: chosen ? "stands here" : "" }),
          cell("td", missing ? "" : `${written(100 * Math.exp(logprobs[place]))} %`),
        );
      }
      return row;
    }));
  };
  const tokenAt = (event) => {
    const token = event.target.closest?.(".tokens i");
    if (!token) return null;
    const turn = turnOf.get(token.parentElement);
    return { turn, index: turn.tokens.indexOf(token) };
  };
  section.addEventListener("pointerover", (event) => {
    const hit = tokenAt(event);
    if (hit) tell(hit.turn, hit.index);
  });
  section.addEventListener("click", (event) => {
    const hit = tokenAt(event);
    if (hit) tell(hit.turn, hit.index);
    else if (!event.target.closest(".panel, button, select, label")) panel.hidden = true;
  });
  turns.forEach((turn) => {
    turn.element.addEventListener("focus", () => { if (turn.element.matches(":focus-visible")) tell(turn, turn.at); });
    turn.element.addEventListener("keydown", (event) => {
      const last = turn.tokens.length - 1;
      const target = { ArrowLeft: turn.at - 1, ArrowRight: turn.at + 1, Home: 0, End: last }[event.key];
      if (target === undefined || last < 0) return;
      event.preventDefault();
      tell(turn, Math.max(0, Math.min(last, target)));
      turn.tokens[turn.at].scrollIntoView({ block: "nearest" });
    });
  });

  /* Next and previous rollout, and their order within a step. */
  const rollouts = () => all(".rollout", section);
  const move = (by) => {
    const list = rollouts();
    const here = list.findIndex((rollout) => rollout.classList.contains("current"));
    const next = list[here < 0 ? (by > 0 ? 0 : list.length - 1) : Math.max(0, Math.min(list.length - 1, here + by))];
    if (!next) return;
    list.forEach((rollout) => rollout.classList.toggle("current", rollout === next));
    next.scrollIntoView({ block: "nearest" });
    one(".tokens", next)?.focus({ preventScroll: true });
  };
  all("[data-move]", section).forEach((button) => button.addEventListener("click", () => move(Number(button.dataset.move))));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select, textarea, input:not([type=radio])")) return;
    if (keys?.open && event.key !== "?") return;
    if (event.key === "j") move(1);
    if (event.key === "k") move(-1);
    if (event.key === "?") keys?.open ? keys.close() : keys?.showModal();
    if (event.key === "s") next(one("#sort"));
    if (event.key === "c") {
      const inputs = all("input[name=column]", section);
      inputs[(chosen + 1) % inputs.length]?.click();
    }
    if ("+-".includes(event.key)) one(`[data-range="${event.key === "+" ? 1 : -1}"]`, section)?.click();
  });
  const next = (select) => {
    if (!select) return;
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.dispatchEvent(new Event("change"));
  };
  const keys = one("#keys", section);
  one("#help", section)?.addEventListener("click", () => keys.showModal());
  const controls = one(".controls", section);
  if (controls) {
    controls.hidden = false;
    const original = new Map(rollouts().map((rollout, index) => [rollout, index]));
    const sort = one("#sort");
    all("option", sort).forEach((option) => {
      if (option.value && !rollouts().some((rollout) => rollout.dataset[option.value])) option.remove();
    });
    sort.value = "";
    sort.addEventListener("change", () => {
      const key = sort.value;
      const rank = (rollout) => rollout.dataset[key] ? Number(rollout.dataset[key]) : -Infinity;
      for (const step of all(".step", section)) {
        all(".rollout", step)
          .sort((a, b) => (key ? rank(b) - rank(a) : 0) || original.get(a) - original.get(b))
          .forEach((rollout) => step.append(rollout));
      }
    });
  }
})();
