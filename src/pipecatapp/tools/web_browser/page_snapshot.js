// Reads a page as a person sees it. Runs in an isolated world: the page's scripts cannot reach it nor change what it
// calls. Text that nobody can see is left out, because that is where instructions to a machine are hidden.
(() => {
  if (globalThis.pipecatapp) return;

  const MOST_ELEMENTS = 20000;
  const MOST_MS = 3000;
  const MOST_TEXT = 30000;
  const MOST_ITEMS = 200;
  const LABEL = 100;
  const FAINT = 0.1; // opacity
  const SMALL = 4; // pixels of height that can still be read
  const CONTRAST = 1.15;

  const SKIPPED = new Set(
    "SCRIPT STYLE NOSCRIPT TEMPLATE IFRAME FRAME OBJECT EMBED CANVAS SVG VIDEO AUDIO HEAD OPTION DATALIST METER".split(" "),
  );
  const ASIDE = new Set(["NAV", "HEADER", "FOOTER", "ASIDE"]);
  const ROLES = new Set(
    "button link checkbox radio switch tab menuitem option textbox searchbox combobox menuitemcheckbox menuitemradio".split(" "),
  );
  const BUTTONS = new Set(["button", "submit", "reset", "image"]);
  const SECRET = /^(current-password|new-password|one-time-code|cc-.*)$/;

  const born = `${Date.now()}-${Math.random()}`;
  /** What was numbered for the person, and what was found by its words: elements that calls name later. */
  const held = [];
  let numbered = [];

  const squeeze = (text) => text.replace(/\s+/g, " ").trim();
  const clip = (text, most = LABEL) => squeeze(String(text ?? "").slice(0, 4 * most)).slice(0, most);

  // --- what can be seen

  function colour(text) {
    const part = text.match(/[\d.]+%?/g);
    if (!part || !text.startsWith("rgb")) return null;
    return { rgb: part.slice(0, 3).map(Number), alpha: part.length > 3 ? Number.parseFloat(part[3]) : 1 };
  }

  function luminance(rgb) {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  function contrast(one, other) {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  }

  function cut(rect, by) {
    if (!by) return rect;
    return {
      left: Math.max(rect.left, by.left),
      top: Math.max(rect.top, by.top),
      right: Math.min(rect.right, by.right),
      bottom: Math.min(rect.bottom, by.bottom),
    };
  }

  /** Whether a rectangle, cut to what shows of it, is in the part of the page that one can scroll to. */
  function reachable(rect, by, height = SMALL) {
    const shown = cut(rect, by);
    if (shown.right - shown.left < 2 || shown.bottom - shown.top < height) return false;
    const root = document.documentElement;
    const fixed = getComputedStyle(root).overflowX === "hidden" || getComputedStyle(document.body ?? root).overflowX === "hidden";
    const width = fixed ? innerWidth : Math.max(root.scrollWidth, innerWidth);
    return shown.right + scrollX > 0 && shown.bottom + scrollY > 0 && shown.left + scrollX < width;
  }

  const START = { opacity: 1, back: [255, 255, 255], clip: null, placed: null, rank: 1, filled: false };

  /** What holds for the inside of an element, or null when nothing in it can be seen. */
  function inside(element, style, outer) {
    if (style.display === "none" || style.contentVisibility === "hidden") return null;
    const state = { ...outer };
    state.opacity *= Number(style.opacity);
    if (/opacity\(0(%|\.0\d*)?\)/.test(style.filter)) state.opacity = 0;
    if (state.opacity < FAINT) return null;
    if (/inset\(\s*(50|100)%|circle\(0|ellipse\(0|polygon\(0(px|%)? 0(px|%)?(, 0(px|%)? 0(px|%)?)+\)/.test(style.clipPath)) return null;
    if (style.position === "fixed") state.clip = state.placed = null;
    else if (style.position === "absolute") state.clip = outer.placed;
    const cutBy = style.clip.match(/rect\(([^)]*)\)/);
    if (cutBy && (style.position === "absolute" || style.position === "fixed")) {
      const [top, right, bottom, left] = cutBy[1].split(/[ ,]+/).map((side) => Number.parseFloat(side));
      if (right - left < 2 || bottom - top < SMALL) return null;
    }
    if (style.overflowX !== "visible" || style.overflowY !== "visible") {
      const box = element.getBoundingClientRect();
      const root = element === document.documentElement || element === document.body;
      if (!root && style.display !== "inline" && style.display !== "contents") {
        const shown = cut(box, state.clip);
        if (shown.right - shown.left < 2 || shown.bottom - shown.top < SMALL) return null;
        const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY);
        state.clip = scrolls ? null : shown;
      }
    }
    if (style.position !== "static" || style.transform !== "none") state.placed = state.clip;
    const back = colour(style.backgroundColor);
    if (style.backgroundImage !== "none" || !back) state.back = null;
    else if (back.alpha > 0.9) state.back = back.rgb;
    else if (back.alpha > 0.05) state.back = null; // a mixture that nobody computes here
    state.filled ||= style.backgroundClip.includes("text");
    if (ASIDE.has(element.tagName) && state.rank > 0) state.rank = 2;
    if (element.tagName === "MAIN" || element.tagName === "ARTICLE" || element.getAttribute("role") === "main") state.rank = 0;
    return state;
  }

  function legible(style, state, rect) {
    if (style.visibility !== "visible") return false;
    const text = colour(style.webkitTextFillColor) ?? colour(style.color);
    if (!text) return true;
    if (text.alpha * state.opacity < FAINT) return state.filled;
    if (!state.back || contrast(text.rgb, state.back) >= CONTRAST) return true;
    // As pale as what it stands in: only over a picture or something of another colour can it be read.
    const [x, y] = [(rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2];
    for (const below of document.elementsFromPoint(x, y)) {
      if (/^(IMG|VIDEO|CANVAS|PICTURE)$/.test(below.tagName)) return true;
      const its = getComputedStyle(below);
      if (its.backgroundImage !== "none") return true;
      const back = colour(its.backgroundColor);
      if (back && back.alpha > 0.9) return contrast(text.rgb, back.rgb) >= CONTRAST;
    }
    return false;
  }

  function showsText(node, style, state) {
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      if (reachable(rect, state.clip)) return legible(style, state, rect);
    }
    return false;
  }

  // --- what can be used

  function roleOf(element) {
    const said = element.getAttribute("role");
    switch (element.tagName) {
      case "A":
      case "AREA":
        return element.hasAttribute("href") ? (ROLES.has(said) ? said : "link") : ROLES.has(said) ? said : "";
      case "BUTTON":
      case "SUMMARY":
        return ROLES.has(said) ? said : "button";
      case "SELECT":
        return "list";
      case "TEXTAREA":
        return "field";
      case "INPUT":
        if (element.type === "hidden") return "";
        if (BUTTONS.has(element.type)) return "button";
        if (element.type === "checkbox" || element.type === "radio") return element.type;
        return element.type === "file" ? "file" : "field";
    }
    if (element.isContentEditable && !element.parentElement?.isContentEditable) return "field";
    if (ROLES.has(said)) return said === "textbox" || said === "searchbox" ? "field" : said;
    return element.hasAttribute("onclick") ? "button" : "";
  }

  function labelOf(element, words) {
    const named = (element.getAttribute("aria-labelledby") ?? "")
      .split(/\s+/)
      .map((id) => (id ? (element.getRootNode().getElementById?.(id)?.innerText ?? "") : ""))
      .join(" ");
    const picture = element.querySelector?.("img[alt]")?.getAttribute("alt");
    const own = element.tagName === "INPUT" && BUTTONS.has(element.type) ? element.value || element.type : "";
    const labels = [...(element.labels ?? [])].map((label) => label.innerText).join(" ");
    const choices = [words, own, labels, named, element.getAttribute("aria-label"), element.getAttribute("placeholder")];
    for (const text of [...choices, picture, element.getAttribute("title"), element.getAttribute("name")]) {
      if (text && squeeze(text)) return clip(text);
    }
    return "";
  }

  function describe(element, words) {
    const role = roleOf(element);
    const form = element.form ?? element.closest?.("form");
    const hidden = getComputedStyle(element).webkitTextSecurity;
    return {
      origin: location.origin,
      tag: element.tagName.toLowerCase(),
      type: clip(element.type, 20),
      role,
      label: labelOf(element, role === "field" || role === "list" ? "" : words),
      href: clip(element.href?.baseVal ?? element.href, 1000),
      action: form ? clip(element.formAction && element.hasAttribute("formaction") ? element.formAction : form.getAttribute("action") ?? "", 1000) : "",
      secret: element.type === "password" || SECRET.test(element.autocomplete ?? "") || (!!hidden && hidden !== "none"),
      disabled: element.disabled === true || element.getAttribute("aria-disabled") === "true" || element.readOnly === true,
      checked: element.checked === true || element.getAttribute("aria-checked") === "true",
      options: element.tagName === "SELECT" ? [...element.options].slice(0, 50).map((option) => clip(option.label, 60)) : [],
    };
  }

  /** Visible words of one element, as the walk would find them. */
  function wordsOf(element) {
    return walk(element).items.find((item) => item.element === element)?.words ?? "";
  }

  // --- the walk

  function stateAt(element) {
    const chain = [];
    for (let up = element.parentElement ?? element.getRootNode().host; up; up = up.parentElement ?? up.getRootNode().host) chain.unshift(up);
    let state = START;
    for (const up of chain) {
      state = inside(up, getComputedStyle(up), state);
      if (!state) return null;
    }
    return state;
  }

  function walk(root) {
    const pieces = [];
    const items = [];
    const until = performance.now() + MOST_MS;
    const first = stateAt(root);
    const stack = first ? [{ node: root, state: first, style: null, open: [] }] : [];
    let [elements, length, cutOff] = [0, 0, false];
    const say = (text, state, open) => {
      for (const item of open) if (item.words.length < 4 * LABEL) item.words += text;
      if (pieces.length && text === "\n" && pieces.at(-1).text === "\n") return;
      pieces.push({ text, rank: state.rank });
      length += text.length;
    };
    while (stack.length) {
      const { node, state, style, open, after } = stack.pop();
      if (after) {
        say(after, state, open);
        continue;
      }
      if (node.nodeType === Node.TEXT_NODE) {
        const text = node.data.slice(0, MOST_TEXT).replace(/\s+/g, " ");
        if (!style || !text) continue;
        if (text === " " || showsText(node, style, state)) say(text, state, open);
        continue;
      }
      if (node.nodeType !== Node.ELEMENT_NODE || SKIPPED.has(node.tagName.toUpperCase())) continue;
      elements += 1;
      if (elements > MOST_ELEMENTS || length > MOST_TEXT || performance.now() > until) {
        cutOff = true;
        break;
      }
      const own = getComputedStyle(node);
      const inner = inside(node, own, state);
      if (!inner) continue;
      let around = open;
      if (roleOf(node) && own.visibility === "visible" && items.length < MOST_ITEMS) {
        if ([...node.getClientRects()].some((rect) => reachable(rect, state.clip))) {
          const item = { element: node, words: "", rank: inner.rank };
          items.push(item);
          around = [...open, item];
        }
      }
      if (node.tagName === "BR") say("\n", inner, around);
      if (node.tagName === "SELECT" || node.tagName === "TEXTAREA") continue;
      const block = !/^(inline|contents)/.test(own.display);
      if (block) say("\n", inner, around);
      if (block) stack.push({ node, state: inner, open: around, after: "\n" });
      const children = node.tagName === "DETAILS" && !node.open
        ? [...node.children].filter((child) => child.tagName === "SUMMARY").slice(0, 1)
        : node.shadowRoot
        ? node.shadowRoot.childNodes
        : node.tagName === "SLOT" && node.assignedNodes().length
          ? node.assignedNodes({ flatten: true })
          : node.childNodes;
      for (let at = Math.min(children.length, MOST_ELEMENTS) - 1; at >= 0; at -= 1) {
        stack.push({ node: children[at], state: inner, style: own, open: around });
      }
    }
    return { pieces, items, cutOff };
  }

  function everything() {
    const root = document.body ?? document.documentElement;
    return root ? walk(root) : { pieces: [], items: [], cutOff: false };
  }

  const about = () => ({ born, title: clip(document.title, 150), url: location.href.slice(0, 2000), origin: location.origin });

  // --- for the tools

  function look() {
    const seen = everything();
    const sorted = [...seen.items].sort((one, other) => one.rank - other.rank);
    numbered = sorted.map((item) => ({ element: item.element, was: describe(item.element, item.words) }));
    const text = (rank) => seen.pieces.filter((piece) => piece.rank === rank).map((piece) => piece.text).join("");
    return { ...about(), main: text(0), text: text(1), aside: text(2), items: numbered.map((item) => item.was), cutOff: seen.cutOff };
  }

  const hold = (element, was) => ({ held: held.push({ element, was }) - 1, ...was });
  const known = (text) => squeeze(text).toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");

  /** The elements that a number or words mean; usable ones of the kind come first. */
  function find(target, fields) {
    const number = target.match(/^\s*(?:number|link|button|field|element)?\s*\[?(\d{1,3})\]?\s*$/i);
    if (number && numbered.length) {
      const item = numbered[Number(number[1]) - 1];
      if (!item) return { ...about(), found: [], numbered: numbered.length };
      const gone = !item.element.isConnected || JSON.stringify(describe(item.element, wordsOf(item.element))) !== JSON.stringify(item.was);
      return { ...about(), found: gone ? [] : [hold(item.element, item.was)], gone, numbered: numbered.length };
    }
    const wanted = known(target);
    const kinds = fields ? ["field", "list"] : null;
    const ranked = [[], [], []];
    for (const item of wanted ? everything().items : []) {
      const was = describe(item.element, item.words);
      if (kinds && !kinds.includes(was.role)) continue;
      const label = known(was.label);
      if (label === wanted) ranked[0].push([item, was]);
      else if (label.startsWith(wanted)) ranked[1].push([item, was]);
      else if (label.includes(wanted) || (label.length > 2 && wanted.includes(label))) ranked[2].push([item, was]);
    }
    const best = ranked.find((some) => some.length) ?? [];
    return { ...about(), found: best.slice(0, 5).map(([item, was]) => hold(item.element, was)), numbered: numbered.length };
  }

  /** The element as it is now, or null when the page it was on is gone. */
  function now(page, at) {
    if (page !== born || !held[at]?.element.isConnected) return null;
    const { element } = held[at];
    return { held: at, ...describe(element, wordsOf(element)) };
  }

  /** Where to click, once the element is in view and nothing lies over it. */
  function point(at) {
    const { element } = held[at];
    element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    if (element.target) element.target = "_self";
    const form = element.form ?? element.closest("form");
    if (form?.target) form.target = "_self";
    if (element.tagName === "A" && document.querySelector("base[target]")) element.target = "_self";
    for (const rect of element.getClientRects()) {
      const [x, y] = [(rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2];
      let top = document.elementFromPoint(x, y);
      while (top?.shadowRoot?.elementFromPoint(x, y) && top.shadowRoot.elementFromPoint(x, y) !== top) top = top.shadowRoot.elementFromPoint(x, y);
      for (let up = top; up; up = up.parentElement ?? up.getRootNode().host) if (up === element) return { x, y };
    }
    return null;
  }

  /** Put the cursor into a field with all that is in it selected. */
  function focus(at) {
    const { element } = held[at];
    element.scrollIntoView({ block: "center", behavior: "instant" });
    element.focus();
    if (element.select) element.select();
    else getSelection().selectAllChildren(element);
    let active = document.activeElement;
    while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
    return active === element;
  }

  function valueOf(at) {
    const { element } = held[at];
    return String(element.value ?? element.innerText ?? "").slice(0, 10000);
  }

  /** Choose an option of a list by its words. */
  function choose(at, words) {
    const { element } = held[at];
    const wanted = known(words);
    const all = [...element.options];
    const option = all.find((one) => known(one.label) === wanted) ?? all.find((one) => known(one.label).startsWith(wanted));
    if (!option || option.disabled) return null;
    option.selected = true;
    element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
    return clip(option.label, 60);
  }

  globalThis.pipecatapp = { about, look, find, now, point, focus, valueOf, choose };
})();
