(() => {
  const complaints = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const name = (element) => {
    const mark = element.id ? `#${element.id}` : element.className && typeof element.className === "string" ? `.${element.className.trim().split(/\s+/).join(".")}` : "";
    return `${element.tagName.toLowerCase()}${mark}`;
  };
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !element.closest(".hidden, .skip, [hidden]");

  /* The document. */
  if (!document.documentElement.lang) complaints.push("no language");
  if (!document.title.trim()) complaints.push("no title");
  if (!document.querySelector("main")) complaints.push("no main landmark");
  const skip = document.querySelector("a.skip");
  const isLong = all("a[href], button, input, select").length > 0; // else there is nothing to skip
  if (isLong && (!skip || !document.querySelector(skip.getAttribute("href")))) complaints.push("no skip link, or it leads nowhere");
  let level = 0;
  const headings = all("h1, h2, h3, h4, h5, h6").filter(isShown);
  if (headings.filter((heading) => heading.tagName === "H1").length !== 1) complaints.push("not exactly one h1");
  for (const heading of headings) {
    const found = Number(heading.tagName[1]);
    if (found > level + 1) complaints.push(`heading ${name(heading)} "${heading.textContent.trim().slice(0, 30)}" follows a h${level}`);
    level = found;
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) complaints.push(`id ${id} stands twice`);
  for (const image of all("img")) if (!image.hasAttribute("alt")) complaints.push("img without alt");
  for (const table of all("table")) {
    if (table.getAttribute("role") === "presentation" || table.hidden) continue;
    const heads = all("th", table);
    if (!heads.length) complaints.push(`table ${name(table)} without headers`);
    if (heads.some((head) => !head.scope)) complaints.push(`table ${name(table)}: a header without scope`);
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) {
    const wide = all("body *").filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !element.closest(".wide, pre, .skip, .hidden"));
    complaints.push(`scrolls sideways: ${wide.slice(0, 4).map(name).join(", ")}`);
  }
  if (document.getAnimations().length || getComputedStyle(document.documentElement).scrollBehavior === "smooth") complaints.push("moves although motion is unwanted");

  /* Contrast by computed colours; a canvas knows every way to write one. */
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    const canvasColour = getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
    return layers.reverse().reduce((under, layer) => over(layer, under), canvasColour);
  };
  const opacity = (element) => { let value = 1; for (let at = element; at; at = at.parentElement) value *= Number(getComputedStyle(at).opacity); return value; };
  const poor = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element || ["SCRIPT", "STYLE", "OPTION"].includes(element.tagName) || !isShown(element)) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = rgba(element.closest("svg") ? style.fill : style.color);
    const shown = over([...ink.slice(0, 3), ink[3] * opacity(element)], ground);
    const [high, low] = [luminance(shown), luminance(ground)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const key = `${name(element)} in ${name(element.parentElement ?? element)}`;
    if (ratio < 4.5 && !(poor.get(key) <= ratio)) poor.set(key, ratio);
  }
  for (const [key, ratio] of poor) complaints.push(`contrast ${ratio.toFixed(2)} of ${key}`);
  return complaints;
})()
