// The knobs of a lens: what one drags, chooses, types, paints or picks.
const SETTLED = 300  // milliseconds until the page is told of a change: its rerun would hold up the answer

// Tell the page, once the hand rests, of the value that was chosen last under a name; without a value wait on.
function tell(state, name, value) {
  state.waiting ??= {}
  clearTimeout(state.waiting[name])
  if (value !== undefined) state.waiting[name] = setTimeout(() => state.setStateValue(name, value), SETTLED)
}

// A brush over the picked picture: CELLS x CELLS, told as hexadecimal digits, four cells each; "" when nothing is painted.
const CELLS = 32

function easel(knob, value, change, picture) {
  const box = document.createElement("div")
  box.className = "easel"
  box.title = knob.help
  const head = box.appendChild(document.createElement("span"))
  head.textContent = knob.label
  const clear = head.appendChild(document.createElement("button"))
  Object.assign(clear, { type: "button", textContent: "Clear" })
  const board = box.appendChild(document.createElement("div"))
  board.className = "board"
  const canvas = document.createElement("canvas")
  const keys = "Arrow keys move the brush, space paints or wipes."
  Object.assign(canvas, { width: CELLS, height: CELLS, ariaLabel: `${knob.label}: ${knob.help}. ${keys}`, role: "application", tabIndex: 0, title: keys })
  const cells = new Uint8Array(CELLS * CELLS)
  ;[...value].forEach((digit, i) => { for (let b = 0; b < 4; b++) cells[4 * i + b] = (parseInt(digit, 16) >> (3 - b)) & 1 })
  const told = () => {
    if (!cells.includes(1)) return ""
    let digits = ""
    for (let i = 0; i < cells.length; i += 4) digits += (cells[i] * 8 + cells[i + 1] * 4 + cells[i + 2] * 2 + cells[i + 3]).toString(16)
    return digits
  }
  const draw = () => {
    const pen = canvas.getContext("2d"), sheet = pen.createImageData(CELLS, CELLS)
    cells.forEach((cell, i) => sheet.data.set([128, 128, 128, cell ? 235 : 0], 4 * i))
    pen.putImageData(sheet, 0, 0)
    if (!canvas.matches(":focus-visible")) return
    pen.strokeStyle = "#d1603d"
    pen.strokeRect(at[0] - 2, at[1] - 2, 4, 4)
  }
  box.renew = () => board.replaceChildren(picture(), canvas)
  let colour = null, last = null, at = [CELLS / 2, CELLS / 2]
  const dab = (event) => {
    const { left, top, width } = canvas.getBoundingClientRect()
    stroke([((event.clientX - left) / width) * CELLS, ((event.clientY - top) / width) * CELLS])
    change(knob.name, told(), false)
  }
  const stroke = (here) => {
    const from = last ?? here, far = Math.ceil(Math.hypot(here[0] - from[0], here[1] - from[1])) || 1
    colour ??= cells[Math.floor(here[1]) * CELLS + Math.floor(here[0])] ? 0 : 1  // who begins on paint, wipes
    for (let i = 0; i <= far; i++) {
      const x = from[0] + ((here[0] - from[0]) * i) / far, y = from[1] + ((here[1] - from[1]) * i) / far
      for (let r = Math.max(0, Math.floor(y - 2)); r <= Math.min(CELLS - 1, y + 2); r++)
        for (let c = Math.max(0, Math.floor(x - 2)); c <= Math.min(CELLS - 1, x + 2); c++)
          if (Math.hypot(c + 0.5 - x, r + 0.5 - y) <= 2.2) cells[r * CELLS + c] = colour
    }
    last = here
    draw()
  }
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); colour = last = null; dab(event) }
  canvas.onpointermove = (event) => { if (colour !== null) dab(event) }
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (colour === null) return
    colour = last = null
    change(knob.name, told(), true)
  }
  canvas.onkeydown = (event) => {
    const way = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2] }[event.key]
    if (way) at = at.map((place, i) => Math.max(2, Math.min(CELLS - 2, place + way[i])))
    else if (event.key === " " || event.key === "Enter") {
      stroke(at)
      colour = last = null
      change(knob.name, told(), true)
    } else return
    event.preventDefault()
    draw()
  }
  canvas.onfocus = canvas.onblur = draw
  clear.onclick = () => { cells.fill(0); draw(); change(knob.name, "", true) }
  box.renew()
  draw()
  return box
}

function field(knob, value, change) {
  const box = document.createElement("label")
  box.title = knob.help
  const head = box.appendChild(document.createElement("span"))
  head.textContent = knob.label
  const shown = head.appendChild(document.createElement("output"))
  if (knob.options) {
    if (knob.scale) {
      const input = slider(0, knob.options.length - 1, 1, knob.options.indexOf(value))
      const read = () => knob.options[Number(input.value)]
      wire(input, shown, read, knob, change)
      box.appendChild(input)
    } else {
      const input = box.appendChild(document.createElement("select"))
      for (const option of knob.options) input.add(new Option(option, option, false, option === value))
      input.onchange = () => change(knob.name, input.value, true)
    }
  } else if (knob.kind === "bool") {
    const input = document.createElement("input")
    input.type = "checkbox"
    input.checked = value
    input.onchange = () => change(knob.name, input.checked, true)
    head.prepend(input)
  } else if (knob.kind === "choices") {
    const chips = box.appendChild(document.createElement("div"))
    chips.className = "chips"
    const chosen = new Set(value)
    for (const choice of knob.choices) {
      const chip = chips.appendChild(document.createElement("button"))
      chip.type = "button"
      chip.textContent = choice
      chip.ariaPressed = chosen.has(choice)
      chip.onclick = (event) => {
        event.preventDefault()
        chosen.has(choice) ? chosen.delete(choice) : chosen.add(choice)
        chip.ariaPressed = chosen.has(choice)
        change(knob.name, knob.choices.filter((one) => chosen.has(one)), true)
      }
    }
  } else if (knob.step && knob.low !== null && knob.high !== null) {
    const input = slider(knob.low, knob.high, knob.step, value)
    wire(input, shown, () => Number(input.value), knob, change)
    box.appendChild(input)
  } else {
    const input = box.appendChild(document.createElement("input"))
    input.type = knob.step ? "number" : "text"
    if (knob.step) input.step = knob.step
    input.value = value
    input.onchange = () => change(knob.name, knob.step ? Number(input.value) : input.value, true)
  }
  return box
}

function slider(low, high, step, value) {
  const input = document.createElement("input")
  Object.assign(input, { type: "range", min: low, max: high, step })
  input.value = value
  return input
}

function wire(input, shown, read, knob, change) {
  const say = () => { shown.textContent = `${Number(read().toPrecision(6))}${knob.unit ? " " + knob.unit : ""}` }
  input.oninput = () => { say(); change(knob.name, read(), false) }
  input.onchange = () => { say(); change(knob.name, read(), true) }
  say()
}

function palette(knob, value, change) {  // a picture by its name: one of those at hand, or one's own
  const box = document.createElement("div")
  box.className = "palette"
  box.title = knob.help
  const head = box.appendChild(document.createElement("span"))
  head.textContent = knob.label
  const shown = head.appendChild(document.createElement("output"))
  const grid = box.appendChild(document.createElement("div"))
  Object.assign(grid, { className: "swatches", role: "listbox", ariaLabel: knob.label })
  const choose = (name, released = true) => {
    shown.textContent = name.split(/[\\/]/).pop().replaceAll("_", " ").replace(/^[0-9a-f]{16}\.jpg$/, "your own")
    for (const one of grid.children) one.ariaSelected = one.value === name
    if (released) change(knob.name, name, true)
  }
  const swatch = (name, picture) => {
    const button = document.createElement("button")
    Object.assign(button, { type: "button", role: "option", value: name, ariaLabel: name, title: name.split(/[\\/]/).pop() })
    button.appendChild(picture)
    button.onclick = () => choose(name)
    return button
  }
  const { names } = knob.sheet, sheet = { ...knob.sheet, count: names.length, ratio: 1 }
  grid.append(...names.map((name, i) => swatch(name, part(sheet, i))))
  const own = head.appendChild(document.createElement("label"))
  own.className = "own"
  own.append("Your own")
  const file = own.appendChild(document.createElement("input"))
  Object.assign(file, { type: "file", accept: "image/*", ariaLabel: `your own picture as ${knob.label}` })
  const wrong = box.appendChild(document.createElement("p"))
  wrong.className = "wrong"
  file.onchange = async () => {
    const [given] = file.files
    if (!given) return
    const answer = await fetch(`/api/pictures?name=${encodeURIComponent(given.name)}`, {
      method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: given,
    }).catch(() => null)
    const told = (await answer?.json().catch(() => null)) ?? { error: "the lab does not answer; is it still running?" }
    wrong.textContent = told.error ?? ""
    if (told.error) return
    grid.querySelector(`[value="${CSS.escape(told.name)}"]`)?.remove()
    grid.prepend(swatch(told.name, part({ tiles: told.tile, count: 1, ratio: 1 }, 0)))
    choose(told.name)
    file.value = ""
  }
  choose(value, false)
  return box
}
