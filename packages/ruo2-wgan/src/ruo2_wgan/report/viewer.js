// Structures in space on a two-dimensional canvas: spheres, bonds and the edges of the cell, drawn from far to near.
// The view is orthographic. It turns as a globe does: z stays upright, so that a slab never lies on its side.
"use strict";

(() => {
  const canvas = document.getElementById("space");
  if (!canvas) return;
  const scene = JSON.parse(document.getElementById("scene").textContent);
  const chooser = document.getElementById("structure");
  const repeat = document.getElementById("repeat");
  const caption = document.getElementById("space-caption");
  const paper = canvas.getContext("2d");

  const SIZE = 0.6; // radius of a sphere over the covalent one
  const STICK = 0.13; // radius of a bond, Å
  const FOG = 8; // shades from the nearest atom to the farthest
  const PALEST = 0.55; // share of white in the farthest
  const SHALLOW = 6; // Å: atoms that are no farther apart in depth do not reach the palest shade
  const SPRITE = 128; // pixels
  const PIECES = 16; // of an edge of the cell, each at its own depth
  const HOME = scene.flat ? { azimuth: -90, elevation: 0 } : { azimuth: -62, elevation: 14 };
  const view = { ...HOME, zoom: 1 };
  let model;

  // One picture of each species in each shade: a frame copies them, which is faster than to shade spheres.
  const mix = (colour, other, share) => colour.map((part) => Math.round(part * (1 - share) + other * share));
  const css = (colour) => `rgb(${colour.join(" ")})`;
  const shadeOf = (colour, fog) => mix(colour, 255, (PALEST * fog) / (FOG - 1));
  const sprites = scene.species.map(({ colour }) => Array.from({ length: FOG }, (_, fog) => drawSphere(colour, fog)));
  const sticks = scene.species.map(({ colour }) =>
    Array.from({ length: FOG }, (_, fog) => css(shadeOf(mix(colour, 0, 0.12), fog))));

  function drawSphere(colour, fog) {
    const sprite = document.createElement("canvas");
    sprite.width = sprite.height = SPRITE;
    const pen = sprite.getContext("2d");
    const half = SPRITE / 2;
    const radius = half - 2;
    const light = pen.createRadialGradient(half - 0.32 * radius, half - 0.36 * radius, 0.05 * radius, half, half, radius);
    light.addColorStop(0, css(shadeOf(mix(colour, 255, 0.65), fog)));
    light.addColorStop(0.3, css(shadeOf(mix(colour, 255, 0.15), fog)));
    light.addColorStop(0.75, css(shadeOf(mix(colour, 0, 0.1), fog)));
    light.addColorStop(1, css(shadeOf(mix(colour, 0, 0.42), fog)));
    pen.fillStyle = light;
    pen.beginPath();
    pen.arc(half, half, radius, 0, 2 * Math.PI);
    pen.fill();
    pen.lineWidth = 2.5;
    pen.strokeStyle = css(shadeOf(mix(colour, 0, 0.55), fog));
    pen.stroke();
    return sprite;
  }

  // Atoms, bonds and edges around the middle of what is shown.
  function build(structure) {
    const [a, b, c] = structure.lattice;
    const times = repeat.checked ? [2, scene.flat ? 1 : 2] : [1, 1];
    const atoms = [];
    for (let i = 0; i < times[0]; i++)
      for (let j = 0; j < times[1]; j++)
        structure.positions.forEach(([x, y, z], k) => atoms.push({ at: [x + i * a, y + j * b, z], kind: structure.kinds[k] }));
    const middle = [(times[0] * a) / 2, (times[1] * b) / 2, c / 2];
    for (const atom of atoms) atom.at = atom.at.map((part, axis) => part - middle[axis]);
    const corner = (i, j, k) => [i * a - middle[0], j * b - middle[1], k * c - middle[2]];
    const edges = [];
    for (const [i, j] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      edges.push([corner(0, i, j), corner(1, i, j)]);
      if (!scene.flat) edges.push([corner(i, 0, j), corner(i, 1, j)]);
      edges.push([corner(i, j, 0), corner(i, j, 1)]);
    }
    const across = Math.hypot(middle[0], middle[1]);
    return { atoms, bonds: findBonds(atoms), edges: edges.flatMap(cut), across, reach: Math.hypot(across, middle[2]) };
  }

  function cut([from, to]) {
    const point = (share) => from.map((part, axis) => part + share * (to[axis] - part));
    return Array.from({ length: PIECES }, (_, k) => [point(k / PIECES), point((k + 1) / PIECES)]);
  }

  // Sorted by height, an atom need be compared with those only that are within reach above it.
  function findBonds(atoms) {
    const longest = Math.max(0, ...scene.bonds);
    const sorted = atoms.slice().sort((one, other) => one.at[2] - other.at[2]);
    const bonds = [];
    sorted.forEach((one, place) => {
      for (let next = place + 1; next < sorted.length && sorted[next].at[2] - one.at[2] < longest; next++) {
        const other = sorted[next];
        const distance = Math.hypot(...one.at.map((part, axis) => part - other.at[axis]));
        if (distance < scene.bonds[one.kind * scene.species.length + other.kind]) bonds.push(join(one, other, distance));
      }
    });
    return bonds;
  }

  // A stick from surface to surface: one from the middle of a sphere would be seen in front of it.
  function join(one, other, distance) {
    const point = (share) => one.at.map((part, axis) => part + share * (other.at[axis] - part));
    const [begin, end] = [radiusOf(one) / distance, 1 - radiusOf(other) / distance];
    return { kinds: [one.kind, other.kind], points: [point(begin), point((begin + end) / 2), point(end)] };
  }

  const radiusOf = ({ kind }) => SIZE * scene.species[kind].radius; // Å

  function draw() {
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    const wide = canvas.clientWidth;
    const tall = canvas.clientHeight;
    if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(tall * ratio)) {
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(tall * ratio);
    }
    paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    paper.clearRect(0, 0, wide, tall);
    paper.imageSmoothingQuality = "medium"; // small spheres have smooth rims
    const margin = 1.2; // Å, for the atoms on the border
    const fit = Math.min(wide / (2 * (model.across + margin)), tall / (2 * (model.reach + margin)));
    const scale = fit * view.zoom; // pixels to an Å
    const [phi, theta] = [view.azimuth, view.elevation].map((angle) => (angle * Math.PI) / 180);
    const right = [-Math.sin(phi), Math.cos(phi), 0];
    const towards = [Math.cos(theta) * Math.cos(phi), Math.cos(theta) * Math.sin(phi), Math.sin(theta)];
    const up = [-Math.sin(theta) * Math.cos(phi), -Math.sin(theta) * Math.sin(phi), Math.cos(theta)];
    const along = (axis, at) => axis[0] * at[0] + axis[1] * at[1] + axis[2] * at[2];
    const see = (at) => [wide / 2 + scale * along(right, at), tall / 2 - scale * along(up, at), along(towards, at)];

    const things = [];
    for (const atom of model.atoms) atom.seen = see(atom.at);
    const [nearest, farthest] = model.atoms.reduce(
      ([near, far], { seen }) => [Math.max(near, seen[2]), Math.min(far, seen[2])], [-Infinity, Infinity]);
    const fogOf = (depth) => Math.round(((FOG - 1) * (nearest - depth)) / Math.max(nearest - farthest, SHALLOW));
    for (const atom of model.atoms)
      things.push({ depth: atom.seen[2], draw: () => drawAtom(atom, scale, fogOf(atom.seen[2])) });
    for (const { kinds, points } of model.bonds) {
      const [begin, middle, end] = points.map(see);
      const fog = fogOf(middle[2]);
      const draw = () => {
        drawLine(begin, middle, sticks[kinds[0]][fog], 2 * STICK * scale);
        drawLine(middle, end, sticks[kinds[1]][fog], 2 * STICK * scale);
      };
      things.push({ depth: middle[2], draw });
    }
    for (const [from, to] of model.edges) {
      const [begin, end] = [see(from), see(to)];
      things.push({ depth: (begin[2] + end[2]) / 2, draw: () => drawLine(begin, end, "#8a8a8a", 1) });
    }
    things.sort((one, other) => one.depth - other.depth);
    for (const thing of things) thing.draw();
    drawAxes(right, up, tall);
  }

  function drawAtom(atom, scale, fog) {
    const radius = radiusOf(atom) * scale;
    const [x, y] = atom.seen;
    paper.drawImage(sprites[atom.kind][fog], x - radius, y - radius, 2 * radius, 2 * radius);
  }

  function drawLine(from, to, colour, width) {
    paper.strokeStyle = colour;
    paper.lineWidth = width;
    paper.beginPath();
    paper.moveTo(from[0], from[1]);
    paper.lineTo(to[0], to[1]);
    paper.stroke();
  }

  function drawAxes(right, up, tall) {
    const [left, bottom, length] = [34, tall - 34, 22];
    paper.font = "12px system-ui, sans-serif";
    paper.textAlign = "center";
    paper.textBaseline = "middle";
    paper.fillStyle = "#333333";
    (scene.flat ? ["u", "", "z"] : ["x", "y", "z"]).forEach((name, axis) => {
      const [across, above] = [right[axis], up[axis]];
      if (!name || Math.hypot(across, above) < 0.15) return; // it points at the reader
      drawLine([left, bottom], [left + length * across, bottom - length * above], "#333333", 1.2);
      paper.fillText(name, left + (length + 8) * across, bottom - (length + 8) * above);
    });
  }

  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function show() {
    const structure = scene.structures[chooser.selectedIndex];
    model = build(structure);
    caption.textContent = `${structure.name}: ${structure.caption}`;
    canvas.setAttribute("aria-label", `Atoms of ${structure.name}: ${structure.caption}`);
    redraw();
  }

  function turn(right, up) {
    view.azimuth -= right;
    view.elevation = Math.max(-90, Math.min(90, view.elevation + up));
    redraw();
  }

  function zoom(factor) {
    view.zoom = Math.max(0.3, Math.min(12, view.zoom * factor));
    redraw();
  }

  function reset() {
    Object.assign(view, HOME, { zoom: 1 });
    redraw();
  }

  function step(by) {
    const n = scene.structures.length;
    chooser.selectedIndex = (chooser.selectedIndex + by + n) % n;
    show();
  }

  const fingers = new Map(); // places of all pointers that are down
  const spread = () => {
    const [one, other] = [...fingers.values()];
    return Math.hypot(one[0] - other[0], one[1] - other[1]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const apart = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 1) turn((event.clientX - before[0]) / 2, (event.clientY - before[1]) / 2);
    else if (apart) zoom(spread() / apart);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  // One finger up or down scrolls the page, two never do.
  for (const touch of ["touchstart", "touchmove"])
    canvas.addEventListener(touch, (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
  // The wheel scrolls the page, until the view has been clicked.
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 500));
  }, { passive: false });
  canvas.addEventListener("dblclick", reset);
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => turn(-5, 0),
      ArrowRight: () => turn(5, 0),
      ArrowUp: () => turn(0, -5),
      ArrowDown: () => turn(0, 5),
      "+": () => zoom(1.15),
      "-": () => zoom(1 / 1.15),
      0: reset,
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  document.getElementById("reset").addEventListener("click", reset);
  chooser.addEventListener("change", show);
  repeat.addEventListener("change", show);
  new ResizeObserver(redraw).observe(canvas);
  show();
})();
