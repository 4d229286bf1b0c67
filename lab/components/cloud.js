// A map of pictures: points that one zooms, points at and draws loops around. Points come once as bytes; a map comes as
// frames while it is made. Several maps of the same pictures lie under one slider, which moves points from one to the next.
const STATES = new WeakMap()
const FULL = 16000, ABSENT = -32768, EDGE = 18, NEAR = 14

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const state = STATES.get(parentElement) ?? begin(parentElement.querySelector(".cloud"))
  STATES.set(parentElement, state)
  state.settle = (view) => setStateValue("view", view)
  state.show(data)
  return () => state.leave()
}

function begin(root) {
  const part = (name) => root.querySelector(name)
  const [field, canvas, over, status, badge] = [".field", ".points", ".over", ".status", ".badge"].map(part)
  const plot = makePlot(canvas), pen = over.getContext("2d")
  const s = {
    data: null, wanted: "", maps: [], tables: [], at: 0, count: 0, places: new Float32Array(0), colour: "", only: null,
    loops: [], chosen: null, drawing: null, lasso: false, hover: null, pinned: null, near: new Map(), asking: null,
    middle: [0, 0], zoom: 1, touched: false, work: null, live: false,
  }
  if (!plot) status.textContent = "This browser has no WebGL 2, which draws the points; switch on hardware acceleration."

  const size = () => [field.clientWidth, field.clientHeight]
  const scale = () => ((Math.min(...size()) / 2 - EDGE) / FULL) * s.zoom
  const toScreen = (x, y) => { const [w, h] = size(), k = scale(); return [w / 2 + (x - s.middle[0]) * k, h / 2 - (y - s.middle[1]) * k] }
  const toPlace = (x, y) => { const [w, h] = size(), k = scale(); return [s.middle[0] + (x - w / 2) / k, s.middle[1] - (y - h / 2) / k] }
  const side = () => (s.tables.length > 1 ? Math.min(s.tables.length - 1, Math.round(s.at)) : 0)  // A or B
  const columns = () => s.tables[side()] ?? []
  const column = () => [columns(), ...s.tables].flat().find(({ name }) => name === s.colour) ?? columns()[0]
  const visible = (point) => s.only === null || column()?.values[point] === s.only

  // Drawing
  const draw = () => {
    if (!plot || !field.clientWidth) return
    const [w, h] = size(), dense = window.devicePixelRatio || 1
    for (const one of [canvas, over]) {
      if (one.width !== Math.round(w * dense) || one.height !== Math.round(h * dense)) [one.width, one.height] = [Math.round(w * dense), Math.round(h * dense)]
    }
    const many = s.count
    const point = (many > 50000 ? 2 : many > 10000 ? 3 : many > 3000 ? 4.5 : many > 800 ? 6.5 : 9) * Math.min(2.2, Math.sqrt(s.zoom))
    plot.draw(many, s.middle, scale(), point, dense)
    pen.setTransform(dense, 0, 0, dense, 0, 0)
    pen.clearRect(0, 0, w, h)
    const style = getComputedStyle(root)
    pen.strokeStyle = pen.fillStyle = style.color
    const trace = (loop, closed) => {
      pen.beginPath()
      for (let c = 0; c < loop.length; c += 2) pen.lineTo(...toScreen(loop[c], loop[c + 1]))
      if (closed) pen.closePath()
      pen.globalAlpha = 0.06
      pen.fill()
      pen.globalAlpha = 0.8
      pen.lineWidth = 1.4
      pen.stroke()
    }
    if (s.at % 1 === 0 || s.drawing) for (const loop of s.loops) trace(loop, true)
    if (s.drawing) trace(s.drawing, false)
    pen.globalAlpha = 1
    const marked = s.marked ?? s.pinned ?? s.hover
    if (marked !== null && marked !== undefined && marked < many) {
      const here = toScreen(s.places[2 * marked], s.places[2 * marked + 1])
      const near = s.near.get(marked)
      pen.lineWidth = 1
      for (const row of near?.rows ?? []) {
        const there = toScreen(s.places[2 * row], s.places[2 * row + 1])
        pen.globalAlpha = 0.55
        pen.beginPath(); pen.moveTo(...here); pen.lineTo(...there); pen.stroke()
        pen.globalAlpha = 1
        pen.beginPath(); pen.arc(...there, point / 2 + 1.5, 0, 2 * Math.PI); pen.stroke()
      }
      pen.lineWidth = 2.4
      pen.beginPath(); pen.arc(...here, point / 2 + 4, 0, 2 * Math.PI); pen.stroke()
    }
  }
  let due = 0
  const later = () => { due ||= requestAnimationFrame(() => { due = 0; draw() }) }

  const paint = () => {  // the colour of each point, by its column, what is alone, and what is selected
    const told = column(), began = performance.now()
    if (!told || !plot) return
    const inks = told.colours.map((code) => [1, 3, 5].map((i) => parseInt(code.slice(i, i + 2), 16)))
    const colours = new Uint8Array(4 * s.count), last = inks.length - 1
    for (let i = 0; i < s.count; i++) {
      const value = told.values[i]
      let ink = [138, 138, 134]
      if (told.names) ink = inks[value] ?? ink
      else if (value !== 255) {
        const level = (value / 254) * last, low = Math.min(last - 1, Math.floor(level)), share = level - low
        ink = inks[low].map((from, c) => from + share * (inks[low + 1][c] - from))
      }
      const lit = (s.only === null || value === s.only) && (!s.chosen || s.chosen[i])
      colours[4 * i] = ink[0]; colours[4 * i + 1] = ink[1]; colours[4 * i + 2] = ink[2]
      colours[4 * i + 3] = lit ? 215 : 34
    }
    plot.colours(colours)
    root.dataset.recolour = (performance.now() - began).toFixed(1)
    later()
  }
  const move = () => {  // the places between two maps
    const low = Math.floor(s.at), high = Math.min(s.maps.length - 1, Math.ceil(s.at)), share = s.at - low
    const from = s.maps[low], to = s.maps[high] ?? from
    if (!from) return
    s.count = from.length / 2
    if (s.places.length !== from.length) s.places = new Float32Array(from.length)
    for (let i = 0; i < from.length; i++) {
      s.places[i] = from[i] === ABSENT || to[i] === ABSENT ? -40000 : from[i] + share * (to[i] - from[i])
    }
    plot?.places(s.places)
    later()
  }

  // Selection
  const select = () => {
    const began = performance.now()
    if (s.loops.length && s.count) {
      s.chosen = new Uint8Array(s.count)
      for (const loop of s.loops) markInside(s.places, loop, s.chosen)
      if (s.only !== null) for (let i = 0; i < s.count; i++) if (!visible(i)) s.chosen[i] = 0
    } else s.chosen = null
    const rows = []
    if (s.chosen) for (let i = 0; i < s.count; i++) if (s.chosen[i]) rows.push(i)
    let there = s.count
    if (s.only !== null) { there = 0; for (let i = 0; i < s.count; i++) there += visible(i) }
    grid.show(rows, { count: there, drawn: s.loops.length > 0 }, columns().find(({ name }) => name === "label") ?? column())
    root.dataset.lasso = (performance.now() - began).toFixed(1)
    part(".hint").hidden = s.loops.length > 0
    links()
    paint()
  }
  const settle = () => s.settle({ colour: s.colour, only: s.only, loops: loopsOut(s.loops), at: s.at })
  const clear = () => { s.loops = []; s.drawing = null; select(); settle() }
  const setLasso = (on) => {
    s.lasso = on
    part(".tool").ariaPressed = String(on)
    over.style.cursor = on ? "crosshair" : "grab"
  }

  // One picture
  const card = () => {
    const point = s.pinned ?? s.hover
    drawCard(part(".card"), columns(), point, point === null ? null : s.near.get(point), s.pinned !== null, (row, pin) => { s.pinned = pin ? row : s.pinned; ask(row); card() })
    part(".rest").hidden = point !== null
    later()
  }
  const ask = async (point) => {
    if (point === null || s.near.has(point) || s.asking) return
    s.asking = point
    const answer = await fetch(`/api/maps/${s.atlas()}/near/${point}?metric=${s.data.knobs.metric ?? "euclidean"}`).catch(() => null)
    s.asking = null
    if (answer?.ok) s.near.set(point, await answer.json())
    card()
    const now = s.pinned ?? s.hover
    if (now !== point) ask(now)
  }
  const hoverAt = (point) => {
    if (point === s.hover) return
    s.hover = point
    grid.lit(point)
    if (s.pinned === null) { ask(point); card() } else later()
  }
  const pointAt = (x, y) => {
    const [px, py] = toPlace(x, y), reach = (NEAR / scale()) ** 2
    let best = null, nearest = reach
    for (let i = 0; i < s.count; i++) {
      const away = (s.places[2 * i] - px) ** 2 + (s.places[2 * i + 1] - py) ** 2
      if (away < nearest && visible(i)) [best, nearest] = [i, away]
    }
    return best
  }
  const grid = makeGrid(part(".selection"), {
    address: (rows) => `/api/maps/${s.atlas()}/sheet?rows=${rows}`,
    words: (point) => Object.values(wordsOf(columns(), point)).slice(0, 3).join(", "),
    mark: (point) => { s.marked = point; later() },
    choose: (point) => pin(point),
  })
  s.atlas = () => s.data.atlases[side()].id
  const query = (which) => {
    const wanted = new URLSearchParams({ map: s.data.map, clusters: s.data.clusters })
    for (const [name, value] of Object.entries(s.data.knobs)) wanted.set(`${s.data.map}.${name}`, value)
    if (which) wanted.set("after", s.data.atlases[0].id)
    return wanted
  }
  const links = () => {
    const asked = query(side())
    asked.set("colour", s.colour)
    if (s.data.course) asked.set("moment", Math.round(s.at))
    part(".script").href = `/api/maps/${s.atlas()}/script?${asked}`
    if (s.only !== null) asked.set("only", s.only)
    asked.set("loops", loopsOut(s.loops))
    part(".csv").hidden = !s.loops.length || s.at % 1 !== 0  // between two maps the lab has no places
    part(".csv").href = `/api/maps/${s.atlas()}/selection?${asked}`
  }

  // The pointer and the keys
  const zoomBy = (factor, x, y) => {
    const before = toPlace(x, y)
    s.zoom = Math.min(100, Math.max(0.2, s.zoom * factor))
    const after = toPlace(x, y)
    s.middle = [s.middle[0] + before[0] - after[0], s.middle[1] + before[1] - after[1]]
    s.touched = true
    later()
  }
  const whole = () => {  // such that all maps are seen
    const { middle, half } = extent(s.maps), [w, h] = size(), least = Math.min(w, h) / 2 - EDGE
    s.middle = middle
    s.zoom = (FULL / least) * Math.min((w / 2 - EDGE) / half[0], (h / 2 - EDGE) / half[1])
    s.touched = false
    later()
  }
  const pin = (point) => { s.pinned = point === s.pinned ? null : point; ask(s.pinned); card() }
  const letGo = () => {
    if (s.pinned !== null) pin(null)
    else if (s.loops.length || s.drawing) clear()
    else if (s.only !== null) alone(null)
    else setLasso(false)
  }
  giveHands(root, over, s, {
    toPlace, scale, later, hoverAt, pointAt, select, settle, pin, zoomBy, whole, letGo, setLasso, turn: (by) => grid.turn(by),
  })
  part(".tool").onclick = () => setLasso(!s.lasso)
  part(".whole").onclick = whole
  part(".clear").onclick = clear

  // Colours and the legend
  const chooser = part("select")
  const legend = () => {
    const named = column(), counts = {}
    if (!named) return
    for (const value of named.values) counts[value] = (counts[value] ?? 0) + 1
    drawLegend(part(".legend"), named, counts, s.only, alone)
  }
  const alone = (value) => { s.only = value; legend(); select(); settle() }
  chooser.onchange = () => { s.colour = chooser.value; s.only = null; legend(); select(); settle() }

  // The slider between maps
  const slider = part(".morph input"), played = part(".morph button")
  let timer = 0
  const slide = (at) => {
    const before = columns()
    s.at = at
    slider.value = at
    part(".morph output").textContent = s.moments[Math.round(at)] ?? ""
    move()
    if (before !== columns()) { s.near.clear(); legend(); drawMeasures(part(".measures"), s.measures[side()]) }
    select()
  }
  const stop = () => { cancelAnimationFrame(timer); timer = 0; played.textContent = "Play" }
  slider.oninput = () => { stop(); slide(Number(slider.value)) }
  slider.onchange = settle
  played.onclick = () => {
    if (timer) { stop(); return settle() }
    const last = s.maps.length - 1, from = s.at >= last ? 0 : s.at, began = performance.now(), pace = last > 1 ? 700 : 1600
    played.textContent = "Stop"
    const turn = (now) => {
      const at = Math.min(last, from + Math.max(0, now - began) / pace)
      slide(at)
      if (at < last) timer = requestAnimationFrame(turn)
      else { stop(); settle() }
    }
    timer = requestAnimationFrame(turn)
  }

  // Loading
  const load = async (data, again) => {
    s.work?.abort()
    const work = (s.work = new AbortController()), began = performance.now(), signal = work.signal, at = s.at
    Object.assign(s, { maps: [], tables: [], measures: [], near: new Map(), hover: null, pinned: null, live: false, touched: false })
    root.dataset.ready = ""
    badge.hidden = true
    drawMeasures(part(".measures"), null)
    try {
      for (const { id } of data.atlases) s.tables.push(await loadColumns(id, data.clusters, signal))
      const options = [...new Set(s.tables.flat().map(({ name }) => name))]
      chooser.replaceChildren(...options.map((name) => new Option(name, name)))
      if (!options.includes(s.colour)) [s.colour, s.only] = [options[0], null]
      chooser.value = s.colour
      legend()
      for (const [i, { id }] of data.atlases.entries()) await fit(id, i, data, signal)
      status.textContent = ""
      stopper(false)
      slider.max = s.maps.length - 1
      part(".morph").hidden = s.maps.length < 2
      slide(Math.min(again ? s.at : data.course && !at ? Infinity : at, s.maps.length - 1))
      badge.hidden = false
      const ships = data.course || data.atlases.every(({ id }) => id === "stored")
      badge.textContent = s.live ? `live · made in ${((performance.now() - began) / 1000).toFixed(1)} s` : ships ? "stored map" : "live"
      badge.className = badge.textContent.startsWith("live") ? "badge live" : "badge"
      root.dataset.ready = data.key
      if (again) settle()  // the selection was another map's
      for (const [i, { id }] of data.course ? [] : data.atlases.entries()) {
        const answer = await fetch(`/api/maps/${id}/measures?${query(i)}`, { signal })
        if (answer.ok) s.measures[i] = await answer.json()
        drawMeasures(part(".measures"), s.measures[side()])
      }
    } catch (error) {
      if (signal.aborted && s.work !== work) return
      status.textContent = signal.aborted ? "stopped" : `${error.message}.`
      stopper(true, "Make it again", () => load(s.data, false))
    }
  }
  const fit = (id, i, data, signal) => {
    const name = data.atlases.length > 1 ? `${"AB"[i]}: ` : ""
    stopper(true, "Stop", () => s.work.abort())
    status.textContent = `${name}at work`
    return loadMap(id, query(i), signal, ({ number, total, finished, places }) => {
      s.maps[data.course ? s.maps.length : i] = places
      if (!finished) {
        s.live = true
        status.textContent = total > 1 ? `${name}${number} of ${total}` : `${name}at work`
        s.at = i
      }
      if (data.course && number < total - 1) return
      s.at = Math.min(s.at, s.maps.length - 1)
      const before = s.count
      move()
      if (!s.touched) whole()
      if (before !== s.count) { s.chosen = null; paint() }
    })
  }
  const stopper = (there, text, press) => {
    const one = part(".stop")
    one.hidden = !there
    if (there) [one.textContent, one.onclick] = [text, press]
  }

  s.show = (data) => {
    const first = s.data === null
    s.data = data
    if (first) {
      Object.assign(s, { colour: data.start.colour, only: data.start.only, at: data.start.at })
      s.loops = loopsIn(data.start.loops)
      new ResizeObserver(later).observe(field)
    }
    s.moments = data.moments
    if (s.wanted !== data.key) {
      const again = Boolean(s.wanted)
      if (again) [s.loops, s.chosen, s.at] = [[], null, 0]
      s.wanted = data.key
      grid.show([], { count: 0, drawn: false })
      part(".morph").hidden = true
      load(data, again)
    } else paint()
  }
  s.leave = () => stop()
  setLasso(false)
  return s
}
