// What stands around the cloud: the legend, the card of one picture, the measures, and the grid of the selection.
const PAGE = 24
const MEASURES = {
  "neighbours": ["k-NN, features", "how often the five pictures nearest by features know a picture's class"],
  "neighbours in the map": ["k-NN, map", "the same by places in the map: what the plane lost of it"],
  "trustworthiness": ["trustworthiness", "near in the map, near in truth? 1 when every neighbour on the map is one by features"],
  "silhouette": ["silhouette", "how much nearer a class is to itself than to the next one by features: from -1 to 1"],
  "purity": ["purity", "share of pictures with the commonest class of their cluster"],
  "mutual information": ["NMI", "what clusters and classes tell of one another: 0 nothing, 1 all"],
}

const element = (tag, name = "", text = "") => {
  const made = document.createElement(tag)
  if (name) made.className = name
  if (text) made.textContent = text
  return made
}
const button = (text, press, name = "") => {
  const made = element("button", name, text)
  made.type = "button"
  made.onclick = press
  return made
}
const percent = (share) => `${(100 * share).toFixed(1)} %`

// The entries of a column: press one to see its points alone.
function drawLegend(place, column, counts, only, press) {
  if (column.names) {
    const entries = column.names.map((name, i) => ({ name, i, count: counts[i] ?? 0 })).filter(({ count }) => count)
    place.className = entries.length > 12 ? "legend many" : "legend"
    place.replaceChildren(...entries.map(({ name, i, count }) => {
      const entry = button("", () => press(only === i ? null : i))
      entry.append(Object.assign(element("i"), { style: `background:${column.colours[i]}` }), element("span", "", name), element("b", "", count.toLocaleString("en")))
      entry.ariaPressed = String(only === i)
      entry.title = only === i ? "Show all again" : `Show ${name} alone`
      return entry
    }))
  } else {
    place.className = "legend"
    const ramp = element("div", "ramp")
    ramp.style.background = `linear-gradient(to right, ${column.colours.join(", ")})`
    const ends = element("div", "ends")
    ends.append(element("span", "", "sure: 0"), element("span", "", `${column.high} nats: no idea`))
    place.replaceChildren(ramp, ends)
  }
}

// The columns' words for one point.
function wordsOf(columns, point) {
  const told = {}
  for (const { name, names, values, high } of columns) {
    const value = values[point]
    if (names) { if (names[value] !== undefined) told[name] = names[value] }
    else if (value !== 255) told[name] = `${((value / 254) * high).toFixed(2)} nats`
  }
  return told
}

// A picture, what is known of it, and its neighbours beside it, whose pictures are parts of one strip.
function drawCard(place, columns, point, near, pinned, point_at) {
  place.hidden = point === null
  if (point === null) return
  const told = wordsOf(columns, point), lines = element("div", "lines")
  const wrong = told.error === "wrong"
  lines.append(element("strong", "", told.label ?? told.prediction ?? told.cluster ?? ""))
  if (told.prediction) lines.append(element("span", wrong ? "wrong" : "", `taken for ${told.prediction}${told.error ? `, ${told.error}` : ""}`))
  if (told.uncertainty) lines.append(element("span", "", `entropy ${told.uncertainty}`))
  if (told.cluster) lines.append(element("span", "", told.cluster))
  const face = element("div", "face"), head = element("div", "head")
  head.append(face, lines)
  const strip = element("div", "strip")
  place.replaceChildren(head, element("p", "", pinned ? "Nearest by features (Esc lets go):" : "Nearest by features:"), strip)
  if (!near) return
  const cut = (piece, i) => Object.assign(piece.style, {
    backgroundImage: `url(${near.strip})`, backgroundSize: `${100 * (near.rows.length + 1)}% 100%`,
    backgroundPosition: `${(100 * i) / near.rows.length}% 0`,
  })
  cut(face, 0)
  near.rows.forEach((row, i) => {
    const piece = strip.appendChild(button("", () => point_at(row, true)))
    cut(piece, i + 1)
    const word = wordsOf(columns, row).label ?? wordsOf(columns, row).cluster
    piece.title = `${word}, ${near.distances[i]} away`
    piece.setAttribute("aria-label", piece.title)
    if (told.label && word !== told.label) piece.classList.add("other")
  })
}

function drawMeasures(place, told) {
  const rows = Object.entries(told ?? {}).flatMap(([name, value]) => {
    const [short, says] = MEASURES[name]
    const line = element("div")
    line.append(element("span", "", short), element("b", "", value.toFixed(3)), element("p", "", says))
    return [line]
  })
  place.replaceChildren(...(rows.length ? [element("h4", "", "Measures"), ...rows] : []))
}

// The selection in numbers, by class, and as pictures, a page of them at a time.
function makeGrid(root, { address, words, mark, choose }) {
  const [count, bars, tiles, pager] = [".count", ".bars", ".tiles", ".pager"].map((name) => root.querySelector(name))
  let rows = [], page = 0, shown = ""
  const back = button("Before", () => self.turn(-1)), on = button("Next", () => self.turn(1)), at = element("span")
  pager.replaceChildren(back, at, on)
  const self = {
    turn: (by) => {
      const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1)
      page = Math.min(last, Math.max(0, page + by))
      paint()
    },
    show: (chosen, of, column) => {
      [rows, page] = [chosen, 0]
      root.hidden = !chosen.length && !of.drawn
      count.textContent = `${chosen.length.toLocaleString("en")} of ${of.count.toLocaleString("en")}`
      const tally = new Map()
      if (column?.names) for (const row of chosen) tally.set(column.values[row], (tally.get(column.values[row]) ?? 0) + 1)
      const most = [...tally].filter(([value]) => column.names[value] !== undefined).sort((a, b) => b[1] - a[1]).slice(0, 12)
      bars.replaceChildren(...most.map(([value, many]) => {
        const bar = element("span")
        bar.append(Object.assign(element("i"), { style: `background:${column.colours[value]}` }), `${column.names[value]} `, element("b", "", many.toLocaleString("en")))
        return bar
      }))
      paint()
    },
    lit: (point) => {
      for (const tile of tiles.children) tile.classList.toggle("at", Number(tile.dataset.point) === point)
    },
  }
  const paint = () => {
    const some = rows.slice(page * PAGE, (page + 1) * PAGE), pages = Math.ceil(rows.length / PAGE)
    pager.hidden = pages < 2
    at.textContent = `${page + 1} of ${pages}`
    back.disabled = page === 0
    on.disabled = page >= pages - 1
    const key = some.join(",")
    if (key === shown) return
    shown = key
    if (!some.length) return tiles.replaceChildren()
    const began = performance.now(), source = address(key), sprite = new Image()
    sprite.onload = () => {
      if (shown !== key) return
      tiles.replaceChildren(...some.map((point, i) => {
        const tile = button("", () => choose(point))
        tile.dataset.point = point
        tile.title = words(point)
        tile.setAttribute("aria-label", tile.title)
        Object.assign(tile.style, {
          backgroundImage: `url(${source})`, backgroundSize: `${100 * some.length}% 100%`,
          backgroundPosition: some.length > 1 ? `${(100 * i) / (some.length - 1)}% 0` : "0 0",
        })
        tile.onpointerenter = tile.onfocus = () => mark(point)
        tile.onpointerleave = tile.onblur = () => mark(null)
        return tile
      }))
      root.dataset.milliseconds = (performance.now() - began).toFixed(1)
    }
    sprite.src = source
  }
  return self
}
