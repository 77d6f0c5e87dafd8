// Definitions beside their words; the page is complete without it.
(() => {
  // A definition shows while its word is pointed at or has the focus, and after a tap.
  const bubble = document.getElementById("bubble");
  let word = null;
  let timer = 0;
  const hide = () => {
    bubble.hidden = true;
    word = null;
  };
  const later = (action, wait) => {
    clearTimeout(timer);
    timer = setTimeout(action, wait);
  };
  const define = (link) => {
    clearTimeout(timer);
    if (word === link) return;
    word = link;
    const entry = document.getElementById(link.hash.slice(1)).cloneNode(true);
    const [title, text] = entry.children;
    text.removeAttribute("id");
    bubble.replaceChildren(...[[title, "strong"], [text, "span"]].map(([from, tag]) => {
      const part = document.createElement(tag);
      part.append(...from.childNodes);
      return part;
    }));
    bubble.hidden = false;
    const place = link.getBoundingClientRect();
    const room = document.documentElement.clientWidth - bubble.offsetWidth - 8;
    const below = place.bottom + bubble.offsetHeight + 8 < innerHeight;
    const above = !below && place.top > bubble.offsetHeight + 8;
    const top = above ? place.top - bubble.offsetHeight - 6 : place.bottom + 6;
    bubble.style.left = `${Math.max(8, Math.min(place.left, room)) + scrollX}px`;
    bubble.style.top = `${top + scrollY}px`;
  };
  for (const link of document.querySelectorAll("a.term")) {
    link.setAttribute("role", "button");
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") later(() => define(link), 150);
    });
    link.addEventListener("pointerleave", () => {
      if (link !== document.activeElement) later(hide, 250);
    });
    link.addEventListener("focus", () => define(link));
    link.addEventListener("blur", () => later(hide, 100));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      define(link);
    });
    // A role of a button is a promise that the space bar works as well.
    link.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      define(link);
    });
  }
  bubble.addEventListener("pointerenter", () => clearTimeout(timer));
  bubble.addEventListener("pointerleave", () => later(hide, 250));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && word) hide();
  });
  addEventListener("resize", hide);
  document.addEventListener("pointerdown", (event) => {
    if (word && !bubble.contains(event.target) && !event.target.closest("a.term")) hide();
  });
})();
