// Draws the slices of a report on canvases. Everything it needs is in the page.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { names, maps } = data;
  const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

  // A sheet holds all slices of a plane; data URIs decode without a request.
  const load = (uri) =>
    new Promise((done, failed) => {
      const image = new Image();
      image.onload = () => done(image);
      image.onerror = () => failed(new Error("a picture of the page is damaged"));
      image.src = uri;
    });

  const nodes = (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Int16Array(bytes.buffer);
  };

  class View {
    constructor(plane, section) {
      this.plane = plane;
      this.section = section;
      this.slice = Math.floor(plane.slices.length / 2);
      this.wipe = section.querySelector(".wipe");
      this.slider = section.querySelector(".slice");
      this.nodes = plane.grid && nodes(plane.grid.nodes);
      this.wipe.addEventListener("input", () => this.draw());
      if (this.slider) {
        this.slider.value = String(this.slice);
        this.slider.addEventListener("input", () => {
          this.slice = Number(this.slider.value);
          this.draw();
        });
      }
      new ResizeObserver(() => this.draw()).observe(section);
    }

    async load() {
      const keys = Object.keys(this.plane.sheets);
      const images = await Promise.all(keys.map((key) => load(this.plane.sheets[key])));
      this.sheets = Object.fromEntries(keys.map((key, i) => [key, images[i]]));
      this.draw();
    }

    // The canvas in device pixels, cleared.
    context(name) {
      const canvas = this.section.querySelector(`canvas.${name}`);
      const scale = window.devicePixelRatio || 1;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((length) =>
        Math.max(1, Math.round(length * scale)),
      );
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      const context = canvas.getContext("2d");
      context.globalCompositeOperation = "source-over";
      context.clearRect(0, 0, width, height);
      return { canvas, context, width, height, scale };
    }

    picture({ context, width, height }, key, smooth = true) {
      const sheet = this.sheets[key];
      const across = this.plane.columns;
      const high = Math.ceil(this.plane.slices.length / across);
      const [w, h] = [sheet.naturalWidth / across, sheet.naturalHeight / high];
      const [column, row] = [this.slice % across, Math.floor(this.slice / across)];
      context.imageSmoothingEnabled = smooth && width > w;
      context.imageSmoothingQuality = "high";
      context.drawImage(sheet, column * w, row * h, w, h, 0, 0, width, height);
    }

    draw() {
      if (!this.sheets) return;
      this.compare();
      if (this.plane.grid) {
        this.difference("before");
        this.difference("after");
        this.lines();
      }
      for (const name of Object.keys(maps)) this.picture(this.context(name), name, false);
      this.describe();
    }

    compare() {
      const target = this.context("compare");
      const { context, width, height, scale } = target;
      const [left, right] = chosen("compare").split("-");
      const checkers = chosen("view") === "checkerboard";
      this.picture(target, right);
      context.save();
      context.beginPath();
      const edge = (width * this.wipe.value) / 100;
      if (checkers) {
        const cell = Math.max(width, height) / 8;
        for (let y = 0; y * cell < height; y += 1) {
          for (let x = y % 2; x * cell < width; x += 2) {
            context.rect(x * cell, y * cell, cell, cell);
          }
        }
      } else {
        context.rect(0, 0, edge, height);
      }
      context.clip();
      this.picture(target, left);
      context.restore();
      if (!checkers) this.handle(context, edge, height, scale);
      this.wipe.disabled = checkers;
      this.section.querySelector(".left-name").textContent = names[left];
      this.section.querySelector(".right-name").textContent = names[right];
      this.section.classList.toggle("checkers", checkers);
    }

    handle(context, edge, height, scale) {
      const radius = 11 * scale;
      context.lineWidth = 2 * scale;
      context.strokeStyle = "#fff";
      context.shadowColor = "#000";
      context.shadowBlur = 3 * scale;
      context.beginPath();
      context.moveTo(edge, 0);
      context.lineTo(edge, height);
      context.stroke();
      context.fillStyle = "#0b5cad";
      context.beginPath();
      context.arc(edge, height / 2, radius, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
      context.shadowBlur = 0;
      context.beginPath();
      for (const side of [-1, 1]) {
        context.moveTo(edge + side * 3 * scale, height / 2 - 4 * scale);
        context.lineTo(edge + side * 7 * scale, height / 2);
        context.lineTo(edge + side * 3 * scale, height / 2 + 4 * scale);
      }
      context.stroke();
    }

    difference(which) {
      const target = this.context(`difference-${which}`);
      this.picture(target, "fixed");
      target.context.globalCompositeOperation = "difference";
      this.picture(target, which);
    }

    lines() {
      const { context, width, height, scale } = this.context("grid");
      const { rows, columns } = this.plane.grid;
      const start = this.slice * rows * columns * 2;
      const to = (row, column, begin) => {
        const at = start + (row * columns + column) * 2;
        const place = [(this.nodes[at] / 4000) * width, (this.nodes[at + 1] / 4000) * height];
        if (begin) context.moveTo(...place);
        else context.lineTo(...place);
      };
      const every = (count) => (count > 12 ? 2 : 1);
      context.strokeStyle = "#0b5cad";
      context.lineWidth = scale;
      context.beginPath();
      for (let row = 0; row < rows; row += every(rows)) {
        for (let column = 0; column < columns; column += 1) to(row, column, column === 0);
      }
      for (let column = 0; column < columns; column += every(columns)) {
        for (let row = 0; row < rows; row += 1) to(row, column, row === 0);
      }
      context.stroke();
    }

    describe() {
      const [left, right] = chosen("compare").split("-");
      const checkers = chosen("view") === "checkerboard";
      const { name, slices, total } = this.plane;
      const where = total > 1 ? `${name} slice ${slices[this.slice] + 1} of ${total}` : name;
      const how = checkers
        ? `checkerboard of ${names[left]} and ${names[right]}`
        : `${names[left]} on the left ${this.wipe.value} %, ${names[right]} on the right`;
      const label = (canvas, text) =>
        this.section.querySelector(`canvas.${canvas}`).setAttribute("aria-label", text);
      label("compare", `${where}: ${how}`);
      if (this.plane.grid) {
        label("difference-before", `${where}: difference of fixed and before`);
        label("difference-after", `${where}: difference of fixed and after`);
        label("grid", `${where}: deformed grid`);
      }
      for (const [name, words] of Object.entries(maps)) label(name, `${where}: ${words}`);
      this.wipe.setAttribute("aria-valuetext", how);
      if (this.slider) {
        const text = `slice ${slices[this.slice] + 1} of ${total}`;
        this.slider.setAttribute("aria-valuetext", text);
        this.section.querySelector("output").textContent = text;
      }
    }
  }

  const sections = [...document.querySelectorAll(".plane")];
  const views = sections.map((section, index) => new View(data.planes[index], section));
  for (const input of document.querySelectorAll(".controls input")) {
    input.addEventListener("change", () => views.forEach((view) => view.draw()));
  }
  Promise.all(views.map((view) => view.load())).then(() => {
    document.body.dataset.ready = "true";
  });
})();
