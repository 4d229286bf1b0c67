// Knobs of a lens and its answer, or the answers of two models to the same. A seat is one model's: at most one request
// of it is under way, and the last wish is always the one that is shown.
const STATES = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const state = STATES.get(parentElement) ?? { seats: [], takes: [], at: 0, timer: null, built: null, asked: null, values: {}, pick: 0 }
  STATES.set(parentElement, state)
  state.setStateValue = setStateValue
  state.data = data  // what is under way, and the fields, outlive the models that were here when they began
  const root = parentElement.querySelector(".live")
  const stages = root.querySelector(".stages")
  const go = root.querySelector(".go")
  const post = (wish, signal) => send("/api/lens", wish, signal)
  const seats = state.seats
  for (const i of data.asks.keys()) seats[i] ??= { busy: null, seen: false, asking: null, wished: null, shown: null, drawn: null }
  const wish = (i, begin) => ({ ...state.data.asks[i], pick: state.pick, knobs: state.values, ...(begin && { begin }) })
  const says = (i, words, wrong = false) => {
    const place = i ? stages.children[i]?.querySelector("output") : root.querySelector(".says")
    if (!place) return
    place.textContent = words
    place.classList.toggle("wrong", wrong)
  }
  const show = (i, exhibits, moment) => stages.children[i].querySelector(".stage").replaceChildren(
    ...exhibits.flatMap((one, place) => {
      if (!one.figures.length) return []
      const shown = exhibit(one, () => script(i, place, moment))
      shown.style.setProperty("--row", place + 2)
      return [shown]
    }),
  )
  const script = async (i, place, moment) => {
    const answer = await post({ ...wish(i), script: place, ...(moment && { moment }) })
    const wrong = await saved(answer, `${data.asks[i].lens}.py`)
    if (wrong) says(i, wrong, true)
  }

  const reel = makeReel(root, data, state, {
    see: (frames) => frames.forEach((told, i) => {
      if (!told || seats[i].drawn === told) return
      seats[i].drawn = told
      show(i, told.exhibits, told.moment)
    }),
    begin: (moments) => seats.forEach((_, i) => { seats[i].shown = null; ask(i, moments[i]) }),
    failed: (words) => says(0, words, true),
  })

  const ahead = makeAhead(state, { seats, wish, post })

  // An answer comes in lines, ever fuller; once its first is seen, it gives way to a newer wish.
  const ask = async (i, begin = null) => {
    const seat = seats[i], mine = JSON.stringify(wish(i, begin))
    seat.wished = mine
    if (seat.busy) {
      if (seat.seen && seat.asking !== mine) seat.busy.abort()
      return
    }
    if (mine === seat.shown) return
    const known = ahead.answer(mine)
    if (known) {
      reel.receive(i, begin)(known)
      says(i, `live · ${known.milliseconds} ms`)
      seat.shown = mine
      return
    }
    const hangUp = (seat.busy = new AbortController()), keep = reel.receive(i, begin)
    seat.seen = false
    seat.asking = mine
    busy()
    try {
      for await (const told of lines(await post(JSON.parse(mine), hangUp.signal))) {
        if (told.exhibits) { await loaded(told.exhibits); keep(told) }
        says(i, told.error ?? `live · ${told.milliseconds} ms`, "error" in told)
        seat.seen = true
        if (seat.wished !== mine) hangUp.abort()
      }
    } catch (error) {
      if (error.name !== "AbortError") says(i, "the lab does not answer; is it still running?", true)
    }
    seat.shown = hangUp.signal.aborted ? null : mine
    seat.busy = null
    busy()
    if (seats[i] === seat && seat.wished !== null && seat.wished !== seat.shown) ask(i, seat.wished === mine ? begin : null)
  }
  const busy = () => {
    const is = seats.some((seat) => seat.busy)
    root.classList.toggle("busy", is)
    go.textContent = is ? "Stop" : "Look"
    reel.rest(!is)
  }
  go.hidden = !data.long
  go.onclick = () => {
    if (seats.some((seat) => seat.busy)) {
      for (const seat of seats) { seat.wished = null; seat.busy?.abort() }
      says(0, `stopped · ${root.querySelector(".says").textContent.replace(/.*· /, "")}`)
    } else {
      reel.again()
      seats.forEach((seat, i) => { seat.shown = null; ask(i) })
    }
  }
  const follow = () => { if (!data.long) seats.forEach((_, i) => ask(i)) }  // what takes long waits for its button

  const change = (name, value, released) => {
    state.values[name] = value
    follow()
    tell(state, "values", released ? { ...state.values } : undefined)
  }
  const pick = (at) => {
    state.pick = at
    root.querySelectorAll(".easel").forEach((box) => box.renew())
    follow()
    tell(state, "pick", at)
  }
  Object.assign(state, { change, choose: pick })

  const built = JSON.stringify([data.asks[0].lens, data.asks[0].images, data.knobs.map((knob) => ({ ...knob, sheet: null }))])
  if (state.built !== built) {
    state.built = built
    state.values = { ...data.values }
    state.pick = data.pick?.at ?? 0
    root.querySelector(".pick").replaceChildren(...(data.pick ? picker(data.pick, (at) => state.choose(at)) : []))
    const change = (...told) => state.change(...told)
    const fields = (fold) =>
      data.knobs.filter((knob) => knob.fold === fold).map((knob) => knob.brush
        ? easel(knob, state.values[knob.name], change, () => part(data.pick, state.pick))
        : knob.sheet ? palette(knob, state.values[knob.name], change)
        : knob.name === data.replays ? ahead.watch(field(knob, state.values[knob.name], change), knob)
        : field(knob, state.values[knob.name], change))
    root.querySelector(".knobs").replaceChildren(...fields(false), ...folded(fields(true)))
  }
  const asked = JSON.stringify([built, data.asks, data.names])
  if (state.asked !== asked) {
    state.asked = asked
    for (const seat of seats) { seat.wished = null; seat.busy?.abort() }
    seats.length = data.asks.length
    stages.replaceChildren(...data.names.map(named))
    for (const seat of seats) seat.drawn = seat.shown = null
    reel.anew()
    if (data.stored.length) show(0, data.stored)
    says(0, data.stored.length ? "stored" : "")
  }
  follow()
}

function named(name, _, all) {  // where one model's answer stands
  const box = document.createElement("section")
  const head = box.appendChild(document.createElement("h4"))
  head.hidden = all.length < 2
  head.appendChild(document.createElement("span")).textContent = name
  head.appendChild(document.createElement("output"))
  box.appendChild(document.createElement("div")).className = "stage"
  return box
}

const send = (where, what, signal) =>
  fetch(where, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what), signal })

async function saved(answer, name) {  // what a route answered, as a file; "" or what is wrong
  if (!answer.ok) return (await answer.json().catch(() => ({}))).error ?? `the server answered ${answer.status}`
  const link = document.createElement("a")
  link.href = URL.createObjectURL(await answer.blob())
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
  return ""
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

function part(sheet, i, column = 0) {  // one picture out of a file of many, in rows and maybe columns
  const cut = element("div", { className: sheet.crisp ? "part crisp" : "part", sheet }), across = sheet.across ?? 1
  const share = (at, of) => (of > 1 ? (100 * at) / (of - 1) : 0)
  cut.style.cssText = `aspect-ratio: ${sheet.ratio}; background-image: url(${address(sheet)});
    background-size: ${100 * across}% ${100 * sheet.count}%; background-position: ${share(column, across)}% ${share(i, sheet.count)}%`
  return cut
}

// A file of pictures at an address of its own, as long as a part of it is there: as data it would be read anew for each.
const forgotten = new FinalizationRegistry((url) => URL.revokeObjectURL(url))
function address(sheet) {
  if (sheet.url) return sheet.url
  const [, kind, bytes] = sheet.tiles.match(/^data:(.*);base64,(.*)$/)
  sheet.url = URL.createObjectURL(new Blob([Uint8Array.from(atob(bytes), (byte) => byte.charCodeAt(0))], { type: kind }))
  forgotten.register(sheet, sheet.url)
  return sheet.url
}

async function loaded(exhibits) {  // without this the page would be blank for a moment at each answer
  const sheets = exhibits.flatMap(({ figures }) => figures).map((figure) => figure.mosaic ?? figure).filter((one) => one.tiles)
  await Promise.all(sheets.map((one) => (one.image = Object.assign(new Image(), { src: address(one) })).decode().catch(() => null)))
}

function gallery(sheet) {
  const grid = document.createElement("div")
  grid.className = sheet.count > 6 ? "gallery" : sheet.count > 1 ? "gallery few" : "gallery alone"
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

function mosaic(sheet) {  // a row an image and a column a name, in blocks side by side; what the colours mean below
  const { names, count, beside, wide, legend } = sheet, alone = names.length === 1
  const whole = element("div", { className: alone ? "mosaic plain" : "mosaic" })
  whole.style.gridTemplateColumns = `repeat(auto-fit, minmax(min(100%, ${alone ? 7 : Math.max(12, 4 * names.length)}rem), 1fr))`
  whole.style.maxWidth = `${beside * (names.length * (wide + 6) + (alone ? 0 : 30))}px`
  for (let block = 0; block < beside; block++) {
    const grid = whole.appendChild(element("div", {}))
    grid.style.gridTemplateColumns = `repeat(${names.length}, minmax(0, 1fr))`
    if (!alone) grid.append(...names.map((name) => element("span", { textContent: name })))
    for (let i = block; i < count; i += beside)
      names.forEach((name, j) => grid.append(Object.assign(part(sheet, i, j), { role: "img", ariaLabel: `${name}, picture ${i + 1}` })))
  }
  if (legend.length) whole.append(swatches(legend))
  return whole
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
  if (figure.mosaic) return mosaic(figure.mosaic)
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
