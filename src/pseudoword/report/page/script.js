// Enlarging pictures, and definitions beside their words; the page is complete without it.
(() => {
  const dialog = document.getElementById("zoom");
  const part = (name) => dialog.querySelector(name);
  let current = null;

  const visible = (gallery) =>
    [...gallery.querySelectorAll("img.picture")].filter((image) => image.offsetParent !== null);

  // Places count from the top left; a place without a picture is passed over.
  const neighbour = (image, dx, dy) => {
    const place = (other) => [Number(other.dataset.x), Number(other.dataset.y)];
    const [x, y] = place(image);
    const ahead = visible(image.closest(".gallery")).filter((other) => {
      const [ox, oy] = place(other);
      return dx ? oy === y && (ox - x) * dx > 0 : ox === x && (oy - y) * dy > 0;
    });
    const distance = (other) => Math.abs(other.dataset.x - x) + Math.abs(other.dataset.y - y);
    return ahead.sort((a, b) => distance(a) - distance(b))[0];
  };

  const show = (image) => {
    current = image;
    const copy = new Image();
    copy.src = image.src;
    copy.alt = image.alt;
    copy.className = image.classList.contains("pixels") ? "pixels" : "";
    part(".zoom-picture").replaceChildren(copy);
    part("#zoom-by").textContent = image.dataset.by;
    part(".zoom-prompt").textContent = image.dataset.prompt;
    part(".zoom-made").textContent = image.dataset.made;
    part(".zoom-scores").replaceChildren(
      ...image.dataset.scores.split("; ").filter(Boolean).map((score) => {
        const item = document.createElement("li");
        item.textContent = score;
        return item;
      })
    );
    part("[data-go=left]").disabled = !neighbour(image, -1, 0);
    part("[data-go=right]").disabled = !neighbour(image, 1, 0);
  };

  const moves = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    left: [-1, 0], right: [1, 0],
  };
  const go = (name) => {
    const next = neighbour(current, ...moves[name]);
    if (next) show(next);
  };

  for (const image of document.querySelectorAll("img.picture")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "zoom-in";
    image.replaceWith(button);
    button.append(image);
    button.addEventListener("click", () => {
      show(image);
      dialog.showModal();
    });
  }
  // On the document, because a button that becomes disabled drops the focus.
  document.addEventListener("keydown", (event) => {
    if (!dialog.open || !(event.key in moves)) return;
    event.preventDefault();
    go(event.key);
  });
  dialog.addEventListener("click", (event) => {
    const name = event.target.dataset.go;
    if (event.target === dialog || name === "close") dialog.close();
    else if (name) go(name);
  });
  dialog.addEventListener("close", () => current.parentElement.focus());

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

  // On paper nothing can be opened, so the settings are open.
  const closed = [];
  addEventListener("beforeprint", () => {
    closed.push(...document.querySelectorAll("#settings details:not([open])"));
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed.splice(0)) details.open = false;
  });

  document.documentElement.classList.add("scripted");
})();
