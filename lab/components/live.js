// Knobs of a lens and its answer. At most one request is under way; the last wish is always the one that is shown.
const STATES = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const state = STATES.get(parentElement) ?? { shown: null, busy: null, seen: false, frames: [], timer: null, wished: null, built: null, values: {}, pick: 0 }
  STATES.set(parentElement, state)
  const root = parentElement.querySelector(".live")
  const says = root.querySelector(".says")
  const stage = root.querySelector(".stage")
  const go = root.querySelector(".go")
  const post = (wish, signal) =>
    fetch("/api/lens", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wish), signal })
  const show = (exhibits) => stage.replaceChildren(
    ...exhibits.flatMap((one, place) => (one.figures.length ? [exhibit(one, () => script(place))] : [])),
  )

  // What takes long is kept moment by moment, to be seen again.
  const reel = root.querySelector(".reel"), moment = reel.querySelector("input"), play = reel.querySelector("button")
  const keep = (told) => {
    const last = state.frames.push(told) - 1, follows = last === 0 || Number(moment.value) === last - 1
    reel.hidden = !data.long || last === 0
    moment.max = last
    if (follows) see(last)
  }
  const see = (at) => {
    moment.value = at
    reel.querySelector("output").textContent = `${at + 1} of ${state.frames.length}`
    show(state.frames[at].exhibits)
  }
  moment.oninput = () => see(Number(moment.value))
  play.onclick = () => {
    clearInterval(state.timer)
    let at = 0
    see(at)
    state.timer = setInterval(() => (at + 1 < state.frames.length ? see(++at) : clearInterval(state.timer)), 150)
  }

  const script = async (place) => {
    const answer = await post({ ...data.ask, pick: state.pick, knobs: state.values, script: place })
    if (!answer.ok) return
    const link = document.createElement("a")
    link.href = URL.createObjectURL(await answer.blob())
    link.download = `${data.ask.lens}.py`
    link.click()
    URL.revokeObjectURL(link.href)
  }

  // One answer is under way at most. It comes in lines, ever fuller; once its first is seen, it gives way to a newer wish.
  const ask = async () => {
    const wish = JSON.stringify({ ...data.ask, pick: state.pick, knobs: state.values })
    state.wished = wish
    if (state.busy) {
      if (state.seen) state.busy.abort()
      return
    }
    if (wish === state.shown) return
    const hangUp = (state.busy = new AbortController())
    state.seen = false
    state.frames = []
    clearInterval(state.timer)
    busy(true)
    try {
      const answer = await post(JSON.parse(wish), hangUp.signal)
      for await (const told of lines(answer)) {
        if (told.exhibits) keep(told)
        says.textContent = told.error ?? `live · ${told.milliseconds} ms`
        root.classList.toggle("wrong", "error" in told)
        state.seen = true
        if (state.wished !== wish) hangUp.abort()
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        says.textContent = "the lab does not answer; is it still running?"
        root.classList.add("wrong")
      }
    }
    state.shown = wish
    state.busy = null
    busy(false)
    if (state.wished !== wish) ask()
  }
  const busy = (is) => {
    root.classList.toggle("busy", is)
    go.textContent = is ? "Stop" : "Look"
  }
  go.hidden = !data.long
  go.onclick = () => {
    if (state.busy) {
      state.wished = state.shown = JSON.stringify({ ...data.ask, pick: state.pick, knobs: state.values })
      state.busy.abort()
      says.textContent = `stopped · ${says.textContent.replace(/.*· /, "")}`
    } else {
      state.shown = null
      ask()
    }
  }
  const follow = () => { if (!data.long) ask() }  // what takes long waits for its button

  const change = (name, value, released) => {
    state.values[name] = value
    follow()
    if (released) setStateValue("values", { ...state.values })
  }
  const pick = (at) => {
    state.pick = at
    root.querySelectorAll(".easel").forEach((box) => box.renew())
    follow()
    setStateValue("pick", at)
  }

  const identity = JSON.stringify([data.ask.target, data.ask.lens, data.ask.images, data.knobs])
  if (state.built !== identity) {
    state.built = identity
    state.values = { ...data.values }
    state.pick = data.pick?.at ?? 0
    root.querySelector(".pick").replaceChildren(...(data.pick ? picker(data.pick, pick) : []))
    const fields = (fold) =>
      data.knobs.filter((knob) => knob.fold === fold).map((knob) => knob.brush
        ? easel(knob, state.values[knob.name], change, () => part(data.pick, state.pick))
        : field(knob, state.values[knob.name], change))
    root.querySelector(".knobs").replaceChildren(...fields(false), ...folded(fields(true)))
    reel.hidden = true
    show(data.stored)
    says.textContent = data.stored.length ? "stored" : ""
  }
  follow()
}

async function* lines(answer) {  // the JSON of each line as it comes
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  while (true) {
    const { value, done } = await reader.read()
    if (value) rest += value
    const whole = rest.split("\n")
    rest = done ? "" : whole.pop()
    for (const line of whole) if (line) yield parsed(line, answer.status)
    if (done) return
  }
}

function parsed(line, status) {
  try {
    return JSON.parse(line)
  } catch {
    return { error: `the server answered ${status}` }
  }
}

function picker(sheet, pick) {
  const tiles = Array.from({ length: sheet.count }, (_, i) => {
    const button = document.createElement("button")
    Object.assign(button, { type: "button", role: "option", ariaLabel: `picture ${i + 1}`, ariaSelected: i === sheet.at })
    button.appendChild(part(sheet, i))
    button.onclick = () => {
      for (const one of tiles) one.ariaSelected = one === button
      pick(i)
    }
    return button
  })
  return tiles
}

function part(sheet, i) {  // one picture out of a file of many
  const cut = document.createElement("div")
  cut.className = "part"
  cut.style.cssText = `aspect-ratio: ${sheet.ratio}; background-image: url(${sheet.tiles});
    background-size: 100% ${100 * sheet.count}%; background-position: 0 ${sheet.count > 1 ? (100 * i) / (sheet.count - 1) : 0}%`
  return cut
}

function gallery(sheet) {
  const grid = document.createElement("div")
  grid.className = sheet.count > 1 ? "gallery" : "gallery alone"
  for (let i = 0; i < sheet.count; i++) {
    const cell = grid.appendChild(document.createElement("div"))
    cell.appendChild(part(sheet, i))
    for (const [name, share] of Object.entries(sheet.bars[i])) {
      const bar = cell.appendChild(document.createElement("div"))
      Object.assign(bar, { className: "bar", role: "img", title: `${name}: ${share.toFixed(2)}`, ariaLabel: `${name} ${share.toFixed(2)}` })
      bar.appendChild(document.createElement("div")).style.width = `${100 * share}%`
    }
    for (const says of sheet.words[i]) cell.appendChild(document.createElement("p")).textContent = says
  }
  return grid
}

function folded(fields) {
  if (!fields.length) return []
  const box = document.createElement("details")
  box.appendChild(document.createElement("summary")).textContent = "All settings"
  box.append(...fields)
  return [box]
}

function exhibit({ says, figures }, script) {
  const whole = document.createElement("figure")
  const row = whole.appendChild(document.createElement("div"))
  row.className = "figures"
  row.append(...figures.map(drawn))
  const caption = whole.appendChild(document.createElement("figcaption"))
  caption.appendChild(document.createElement("span")).textContent = says
  const button = caption.appendChild(document.createElement("button"))
  Object.assign(button, { type: "button", textContent: "Script", onclick: script })
  button.title = "A Python file that draws this figure again, without the lab."
  return whole
}

function drawn(figure) {
  if (figure.svg) return document.importNode(new DOMParser().parseFromString(figure.svg, "image/svg+xml").documentElement, true)
  if (figure.tiles) return gallery(figure)
  if (figure.heat) return heatMap(figure.heat)
  if (figure.bars) return barRows(figure.bars)
  if (figure.curves) return smallCurves(figure.curves)
  if (figure.picture) return Object.assign(new Image(), { src: figure.picture, alt: "" })
  const table = document.createElement("table")
  const names = Object.keys(figure.columns)
  const line = (cells, kind) => {
    const row = table.insertRow()
    for (const cell of cells) row.appendChild(document.createElement(kind)).textContent = cell
  }
  line(names, "th")
  for (let i = 0; i < figure.columns[names[0]].length; i++) line(names.map((name) => figure.columns[name][i]), "td")
  return table
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
  Object.assign(canvas, { width: CELLS, height: CELLS, ariaLabel: `${knob.label}: ${knob.help}`, role: "img" })
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
  }
  box.renew = () => board.replaceChildren(picture(), canvas)
  let colour = null, last = null
  const dab = (event) => {
    const { left, top, width } = canvas.getBoundingClientRect()
    const here = [((event.clientX - left) / width) * CELLS, ((event.clientY - top) / width) * CELLS]
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
    change(knob.name, told(), false)
  }
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); colour = last = null; dab(event) }
  canvas.onpointermove = (event) => { if (colour !== null) dab(event) }
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (colour === null) return
    colour = last = null
    change(knob.name, told(), true)
  }
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
