// Enlarging pictures; the page is complete without it.
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
