// The map: points that move from probe to probe. All places are sent once; the browser moves, colours and names them.
const ABSENT = -32768, SIDE = 520, EDGE = 14

function makeMap({ url, thumbnails, says, script }) {
  const figure = document.createElement("figure")
  figure.className = "map"
  const field = figure.appendChild(document.createElement("div"))
  field.className = "field"
  const canvas = field.appendChild(document.createElement("canvas"))
  const hint = field.appendChild(document.createElement("div"))
  hint.className = "hint"
  hint.hidden = true
  const face = hint.appendChild(document.createElement("div"))
  const name = hint.appendChild(document.createElement("span"))
  const legend = figure.appendChild(document.createElement("div"))
  legend.className = "legend"
  const caption = captioned(figure, says, script)
  const sheet = new Image()
  const self = { figure, url: null, place: 0, chosen: null }
  let told = null, places = null, groups = []

  self.load = async (address) => {
    if (self.url === address) return
    self.url = address
    const answer = await fetch(address)
    if (!answer.ok || self.url !== address) return
    told = await answer.json()
    const bytes = Uint8Array.from(atob(told.places), (letter) => letter.charCodeAt(0))
    places = new Int16Array(bytes.buffer)
    if (!sheet.src) sheet.src = thumbnails
    groups = Object.keys(told.names).map(Number).map((label) => ({
      label, colour: told.colours[label], name: told.names[label],
      points: told.labels.flatMap((one, i) => (one === label ? [i] : [])),
    }))
    legend.replaceChildren(...(groups.length > 1 && groups.length <= 16 ? groups.map(entry) : []))
    self.loaded?.()
  }
  const entry = (group) => {
    const button = document.createElement("button")
    button.type = "button"
    button.appendChild(document.createElement("i")).style.background = group.colour
    button.append(group.name || "unknown")
    button.title = "Show this class alone"
    button.onclick = () => {
      self.chosen = self.chosen === group.label ? null : group.label
      for (const [i, each] of groups.entries()) legend.children[i].ariaPressed = String(self.chosen === each.label)
      self.draw(self.place)
    }
    return button
  }

  // Where a step stands among the probes, as a place that may lie between two of them.
  self.placeOf = (step) => (told ? Math.max(0, before(told.steps, step)) : 0)

  const locate = (point, place) => {  // pixels of the canvas, or null where the point was not probed
    const low = Math.floor(place), high = Math.min(Math.ceil(place), told.steps.length - 1), share = place - low
    const from = 2 * (low * told.labels.length + point), to = 2 * (high * told.labels.length + point)
    if (places[from] === ABSENT || places[to] === ABSENT) return null
    const across = places[from] + share * (places[to] - places[from])
    const up = places[from + 1] + share * (places[to + 1] - places[from + 1])
    const half = SIDE / 2, reach = half - EDGE
    return [half + (across / 32000) * reach, half - (up / 32000) * reach]
  }

  self.draw = (place) => {
    self.place = place
    if (!told) return
    const dense = window.devicePixelRatio || 1
    if (canvas.width !== SIDE * dense) canvas.width = canvas.height = SIDE * dense
    const pen = canvas.getContext("2d", { willReadFrequently: true })  // drawn by the CPU: quick where there is no GPU
    pen.setTransform(dense, 0, 0, dense, 0, 0)
    pen.clearRect(0, 0, SIDE, SIDE)
    const radius = told.labels.length > 800 ? 2.6 : told.labels.length > 200 ? 3.6 : 5
    for (const { label, colour, points } of groups) {
      pen.globalAlpha = self.chosen === null ? 0.75 : self.chosen === label ? 0.95 : 0.08
      pen.fillStyle = colour
      pen.beginPath()
      for (const point of points) {
        const spot = locate(point, place)
        if (!spot) continue
        pen.moveTo(spot[0] + radius, spot[1])
        pen.arc(spot[0], spot[1], radius, 0, 2 * Math.PI)
      }
      pen.fill()
    }
    hint.hidden = true
  }
  self.say = (step) => {
    if (!told) return caption(step)
    const at = self.placeOf(step)
    const skipped = told.skipped ? ` ${told.skipped} evaluations left none: it would have taken too long.` : ""
    const percent = (100 * told.shares[at]).toFixed(0)
    const kinds = groups.length > 16 ? ` of ${groups.length} classes` : ""
    caption(step, `${told.images[at].toLocaleString("en")} pictures${kinds}; the plane holds ${percent} % of their variance.${skipped}`)
  }

  canvas.onpointermove = (event) => {
    if (!told) return
    const box = canvas.getBoundingClientRect(), scale = SIDE / box.width
    const at = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]
    let best = null, nearest = 12 ** 2
    for (const { label, name, points } of groups) {
      if (self.chosen !== null && self.chosen !== label) continue
      for (const point of points) {
        const spot = locate(point, self.place)
        const away = spot ? (spot[0] - at[0]) ** 2 + (spot[1] - at[1]) ** 2 : Infinity
        if (away < nearest) [best, nearest] = [{ point, name, spot }, away]
      }
    }
    hint.hidden = !best
    if (!best) return
    const across = Math.ceil(Math.sqrt(told.labels.length)), size = 84
    Object.assign(face.style, {
      backgroundImage: `url(${thumbnails})`, backgroundSize: `${across * size}px`,
      backgroundPosition: `${-(best.point % across) * size}px ${-Math.floor(best.point / across) * size}px`,
    })
    name.textContent = best.name
    const left = best.spot[0] / scale, top = best.spot[1] / scale
    hint.style.left = `${left > box.width - 120 ? left - 112 : left + 14}px`
    hint.style.top = `${Math.min(top, box.height - 112)}px`
  }
  canvas.onpointerleave = () => { hint.hidden = true }
  return self
}
