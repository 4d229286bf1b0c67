// Runs as columns, pictures as rows. A run's pictures of one step come as one file of tiles; canvases show parts of it.
const STATES = new WeakMap()
const KEPT = 72, LARGE = 480, STILL = 4

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const root = parentElement.querySelector(".matrix")
  const find = (name) => root.querySelector(name)
  const cells = find(".cells"), dialog = find("dialog"), large = find(".large"), two = find(".two")
  const [slider, zoom] = root.querySelectorAll(":scope > .bar input")
  const part = find(":scope > .bar select"), [left, right] = two.querySelectorAll("select")
  const far = dialog.querySelector("input"), share = two.querySelector("input"), swiped = two.querySelector("canvas")
  const state = STATES.get(parentElement) ?? { at: null, rows: 0, row: 0, view: { k: 1, x: 0.5, y: 0.5 }, files: new Map() }
  STATES.set(parentElement, state)
  const { runs, frames, names } = data, last = frames.length - 1

  // Files of tiles: fetched once, the oldest forgotten
  const load = (address) => {
    const known = state.files.get(address)
    if (known) {
      state.files.delete(address)
      state.files.set(address, known)
      return known
    }
    const file = { bitmap: null, rows: 0 }
    file.ready = fetch(address).then(async (answer) => {
      if (!answer.ok) return file
      file.rows = Number(answer.headers.get("X-Rows"))
      file.bitmap = await createImageBitmap(await answer.blob())
      return file
    }).catch(() => { state.files.delete(address); return file })
    state.files.set(address, file)
    for (const old of state.files.keys()) {
      if (state.files.size <= KEPT) break
      state.files.delete(old)
    }
    return file
  }
  const address = (i, at = state.at, row = null) => {
    if (!frames[at]) return null
    const step = frames[at][1][i], one = row === null ? "" : `&cell=${LARGE}&row=${row}`
    return `${runs[i].address}${step}?stamp=${runs[i].stamps[step]}${one}`
  }

  // Painting: the shown part of one row, each tile under the same window
  const shown = () => (part.value === "" ? names.map((_, c) => c) : [Number(part.value)])
  const paint = (canvas, file, row, from = 0, to = 1) => {
    const chosen = shown(), wide = Math.round(canvas.clientWidth * devicePixelRatio) || 160
    const pen = canvas.getContext("2d")
    if (!file?.bitmap || row >= file.rows) {
      canvas.width = canvas.width
      return
    }
    const tile = { w: file.bitmap.width / names.length, h: file.bitmap.height / file.rows }
    const cell = wide / chosen.length, tall = Math.round((cell * tile.h) / tile.w)
    if (from === 0 && (canvas.width !== wide || canvas.height !== tall)) Object.assign(canvas, { width: wide, height: tall })
    const { k, x, y } = state.view
    pen.imageSmoothingEnabled = cell < tile.w / k
    pen.imageSmoothingQuality = "high"
    chosen.forEach((c, i) => {
      const sx = (c + (x - 0.5 / k)) * tile.w, sy = (row + (y - 0.5 / k)) * tile.h
      pen.save()
      pen.beginPath()
      pen.rect((i + from) * cell + (i ? 1 : 0), 0, (to - from) * cell - (i ? 1 : 0), tall)
      pen.clip()
      pen.drawImage(file.bitmap, sx, sy, tile.w / k, tile.h / k, i * cell, 0, cell, tall)
      pen.restore()
    })
  }
  const small = (i) => {
    const file = load(address(i))
    cells.querySelectorAll(`canvas[data-run="${i}"]`).forEach((canvas) => paint(canvas, file, Number(canvas.dataset.row)))
  }
  const sharp = (i, draw) => {  // the small tiles at once, the large ones when they are there
    const near = address(i), file = load(address(i, state.at, state.row)), at = state.at, row = state.row
    if (file.bitmap) return draw(file, 0)
    draw(load(near), row)
    file.ready.then(() => { if (file.bitmap && state.at === at && state.row === row) enlarge() })
  }
  const enlarge = () => {
    if (!dialog.open) return
    dialog.querySelector("strong").textContent = `Picture ${state.row + 1}`
    if (!two.hidden) {
      two.style.setProperty("--shape", shown().length)
      const middle = Number(share.value)
      sharp(Number(left.value), (file, row) => paint(swiped, file, row))
      sharp(Number(right.value), (file, row) => paint(swiped, file, row, Math.max(middle, 1e-6), 1))
      const pen = swiped.getContext("2d")
      pen.fillStyle = "white"
      const count = shown().length
      for (let i = 0; i < count; i++) pen.fillRect(((i + middle) * swiped.width) / count - 1, 0, 2, swiped.height)
      return
    }
    large.querySelectorAll("canvas").forEach((canvas, i) => sharp(i, (file, row) => paint(canvas, file, row)))
  }
  const repaint = () => { runs.forEach((_, i) => small(i)); enlarge() }

  // The step
  const show = (at) => {
    state.at = Math.max(0, Math.min(last, at))
    slider.value = far.value = state.at
    root.querySelectorAll("output").forEach((output) => { output.textContent = frames[state.at][0].toLocaleString("en") })
    runs.forEach((_, i) => {
      const wished = state.at, file = load(address(i))
      file.ready.then(() => {
        if (file.rows > state.rows) build(file.rows)
        if (state.at === wished) small(i)
      })
      if (file.bitmap) small(i)
      for (const near of [state.at - 1, state.at + 1]) if (address(i, near)) load(address(i, near))
    })
    say()
    enlarge()
  }
  const say = () => {
    root.querySelectorAll("small").forEach((label) => {
      label.textContent = `step ${frames[state.at][1][label.dataset.run].toLocaleString("en")}`
    })
  }

  // The grid
  const build = (rows) => {
    state.rows = rows
    cells.style.gridTemplateColumns = `1.2rem repeat(${runs.length}, minmax(104px, ${176 * shown().length}px))`
    cells.replaceChildren(document.createElement("span"), ...runs.map((run, i) => headed("div", "head", run, i)))
    for (let row = 0; row < rows; row++) {
      cells.appendChild(Object.assign(document.createElement("span"), { className: "number", textContent: row + 1 }))
      runs.forEach((run, i) => {
        const canvas = cells.appendChild(document.createElement("canvas"))
        Object.assign(canvas.dataset, { run: i, row })
        canvas.ariaLabel = `picture ${row + 1} of ${run.label}`
        canvas.role = "button"
        canvas.tabIndex = 0
        canvas.onkeydown = (event) => { if (event.key === "Enter") open(row) }
        hold(canvas, () => open(row))
      })
    }
    large.replaceChildren(...runs.map((run, i) => {
      const figure = document.createElement("figure")
      figure.style.flexBasis = `${Math.min(15 * shown().length, 28)}rem`
      figure.append(headed("figcaption", "", run, i), hold(document.createElement("canvas"), () => {}))
      return figure
    }))
    say()
    runs.forEach((_, i) => small(i))
  }
  const headed = (kind, name, run, i) => {
    const head = Object.assign(document.createElement(kind), { className: name, textContent: run.label })
    head.style.borderColor = run.colour
    head.appendChild(document.createElement("small")).dataset.run = i
    return head
  }

  // One window for all cells: drag moves it, the wheel (in the large view) and the slider change its size
  const look = (k, x, y) => {
    const half = 0.5 / k, within = (at) => Math.min(1 - half, Math.max(half, at))
    state.view = { k, x: within(x), y: within(y) }
    zoom.value = k
    root.classList.toggle("zoomed", k > 1)
    repaint()
  }
  const hold = (canvas, click) => {
    canvas.onpointerdown = (down) => {
      const from = { ...state.view }, size = canvas.clientHeight
      let moved = false
      canvas.setPointerCapture(down.pointerId)
      canvas.onpointermove = (move) => {
        const dx = move.clientX - down.clientX, dy = move.clientY - down.clientY
        moved ||= Math.hypot(dx, dy) > STILL
        if (moved && from.k > 1) look(from.k, from.x - dx / size / from.k, from.y - dy / size / from.k)
      }
      canvas.onpointerup = () => {
        canvas.onpointermove = canvas.onpointerup = null
        if (!moved) click()
      }
    }
    return canvas
  }
  dialog.onwheel = (event) => {
    if (event.target.tagName !== "CANVAS") return
    event.preventDefault()
    look(Math.min(8, Math.max(1, state.view.k * Math.exp(-event.deltaY / 400))), state.view.x, state.view.y)
  }

  // The large view
  const open = (row) => {
    state.row = row
    if (!dialog.open) dialog.showModal()
    enlarge()
  }
  const swipe = (on) => {
    two.hidden = !on
    large.hidden = on
    find(".swipe").ariaPressed = on
    enlarge()
  }
  find(".swipe").onclick = () => swipe(two.hidden)
  find(".close").onclick = () => dialog.close()
  find(".up").onclick = () => open((state.row + state.rows - 1) % state.rows)
  find(".down").onclick = () => open((state.row + 1) % state.rows)
  left.onchange = right.onchange = share.oninput = enlarge
  swiped.onpointerdown = swiped.onpointermove = (event) => {
    if (!event.buttons) return
    share.value = ((event.offsetX / swiped.clientWidth) * shown().length) % 1
    enlarge()
  }
  dialog.onkeydown = (event) => {
    if (event.target.tagName === "INPUT" || event.target.tagName === "SELECT") return
    const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (turn) show(state.at + turn)
  }

  const identity = JSON.stringify([runs, names])
  if (state.identity !== identity) {
    Object.assign(state, { identity, rows: 0, at: null })
    part.replaceChildren(...(names.length > 1 ? [new Option("all side by side", "")] : []), ...names.map((name, c) => new Option(name, c)))
    part.hidden = names.length < 2
    for (const [box, chosen] of [[left, 0], [right, 1]]) box.replaceChildren(...runs.map((run, i) => new Option(run.label, i, false, i === chosen)))
    find(".swipe").hidden = runs.length < 2
  }
  part.onchange = () => { build(state.rows); repaint() }
  slider.max = far.max = last
  slider.oninput = () => show(Number(slider.value))
  far.oninput = () => show(Number(far.value))
  slider.onchange = far.onchange = () => setStateValue("step", frames[state.at][0])
  zoom.oninput = () => look(Number(zoom.value), state.view.x, state.view.y)
  const first = frames.findIndex(([step]) => step === data.start)
  show(state.at ?? (first < 0 ? last : first))
  state.sizes?.disconnect()
  state.sizes = new ResizeObserver(repaint)
  state.sizes.observe(cells)
  return () => state.sizes.disconnect()
}
